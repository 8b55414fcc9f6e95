"""Fields that the tests share, and a codec that does not need the model."""

import numpy as np
import pytest

import fieldpress

# Before any test imports netCDF4, whose HDF5 takes the path of plugins when it is loaded.
fieldpress.hdf5.activate()

#: Quick, and the same on every machine.
QUICK = {"effort": 0, "threads": 1}


def waves(shape: tuple[int, ...], dtype: str = "f4", seed: int = 1) -> np.ndarray:
    """A smooth field that moves along its first axis, with a little noise."""
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    phase = sum(grid * 0.11 * (axis + 1) for axis, grid in enumerate(grids))
    return (np.sin(phase) * 10 + np.cos(phase * 0.31) + rng.normal(0, 0.01, shape)).astype(dtype)


@pytest.fixture
def field() -> np.ndarray:
    return waves((12, 40, 48))
