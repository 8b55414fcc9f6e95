"""Builds the corpus cache: `<cache>/<train|val|test>/<kind>/<seed>_<field>.npy`, f32 `[frames, H, W]`.

Files appear under their final name only when whole, so a training run may re-scan the cache while it grows.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

DEFAULT_CACHE = Path(os.environ.get("FIELDPRESS_CORPUS", Path.home() / ".cache" / "fieldpress" / "corpus"))
VALIDATION_SEED, TEST_SEED = 5000, 9000


@dataclass(frozen=True)
class Kind:
    """How much of one kind the corpus holds; `module` has `generate(seed, size, frames) -> {field: array}`."""

    module: str
    size: int
    frames: int
    train: int
    val: int = 2
    test: int = 1
    """Held-out sequences of the benchmarks, twice as long; training and tuning never read them."""


KINDS: dict[str, Kind] = {
    "turbulence": Kind("training.corpus.turbulence", 192, 97, train=24, val=3),
    "gray_scott": Kind("training.corpus.gray_scott", 192, 97, train=28),
    "quasigeostrophic": Kind("training.corpus.quasigeostrophic", 192, 97, train=10),
    "acoustic": Kind("training.corpus.acoustic", 192, 97, train=20),
    "combustion": Kind("training.corpus.combustion", 192, 97, train=20),
    "cyclone": Kind("training.corpus.cyclone", 192, 97, train=16),
    "turbulence3d": Kind("training.corpus.turbulence3d", 96, 65, train=2, val=1),
    "shallow_water": Kind("training.corpus.shallow_water", 192, 97, train=12),
    "random_fields": Kind("training.corpus.random_fields", 192, 97, train=20),
    "weather": Kind("training.corpus.weather", 192, 97, train=8),
    "climate": Kind("training.corpus.climate", 0, 0, train=1, val=1, test=0),
}


def save(path: Path, array: np.ndarray) -> None:
    """Writes atomically; refuses what is not a finite f32 sequence."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim != 3 or not np.isfinite(array).all():
        raise ValueError(f"{path}: a sequence must be finite and [frames, H, W], got shape {array.shape}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, array)
    part.rename(path)


def build(cache: Path, kinds: list[str], seeds: int | None = None, test_seed: int | None = None) -> None:
    """Makes what is missing of `kinds`; `seeds` overrides the number of training seeds.

    With a `test_seed` it makes test sequences of that seed alone, as a split `test-<seed>`: what nothing was decided
    by."""
    if test_seed is not None and test_seed < TEST_SEED:
        raise ValueError(f"test seeds are {TEST_SEED} and above, not {test_seed}: those below train and validate")
    jobs = []
    for name in kinds:
        kind = KINDS[name]
        if test_seed is not None:
            jobs += [(name, f"test-{test_seed}", test_seed)] if kind.test else []
            continue
        jobs += [(name, "train", s) for s in range(kind.train if seeds is None else seeds)]
        jobs += [(name, "val", VALIDATION_SEED + s) for s in range(kind.val)]
        jobs += [(name, "test", TEST_SEED + s) for s in range(kind.test)]
    for name, split, seed in tqdm(jobs, desc="corpus", disable=None):
        folder = cache / split / name
        done = folder / f"{seed:04d}.done"
        if done.exists():
            continue
        module = importlib.import_module(KINDS[name].module)
        frames = KINDS[name].frames * (2 if split.startswith("test") else 1)
        for field, array in module.generate(seed, KINDS[name].size, frames).items():
            save(folder / f"{seed:04d}_{field}.npy", array)
        done.touch()
