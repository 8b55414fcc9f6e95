"""Generators: reproducible from the seed, finite, f32, moving."""

import importlib

import numpy as np
import pytest

from training.corpus import build

FAST = sorted(set(build.KINDS) - {"turbulence3d", "climate"})
"""All but the slow one and the one that reads files."""


@pytest.mark.parametrize("kind", FAST)
def test_generator_is_a_function_of_its_seed(kind: str) -> None:
    module = importlib.import_module(build.KINDS[kind].module)
    first, again, other = (module.generate(seed, 32, 4) for seed in (3, 3, 4))
    for name, array in first.items():
        assert array.shape == (4, 32, 32)
        assert np.isfinite(array).all()
        assert np.array_equal(array, again[name])
        assert np.abs(array[1] - array[0]).max() > 0
    assert any(not np.array_equal(array, other[name]) for name, array in first.items() if name in other)


def test_a_sequence_with_nan_is_refused(tmp_path) -> None:  # noqa: ANN001
    bad = np.zeros((3, 8, 8), np.float32)
    bad[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        build.save(tmp_path / "0000_x.npy", bad)
