"""A tiny corpus made once per session, and one thread."""

from pathlib import Path

import pytest
import torch

from training.corpus import build, random_fields

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for split, seeds in (("train", (0, 1)), ("val", (5000,))):
        for seed in seeds:
            for field, array in random_fields.generate(seed, 64, 25).items():
                build.save(root / split / "random_fields" / f"{seed:04d}_{field}.npy", array)
    return root
