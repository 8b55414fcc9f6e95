"""Real climate fields from free packages: COADS and Levitus climatologies and an ocean atlas (Debian's
`ferret-datasets`).

Months or levels as frames. Land is filled smoothly. Two variables are kept for validation. Not used, on purpose: the
Navy winds of the same package, a test field of the benchmarks, and everything of `ldcpy`. `esmvaltool-sample-data`
holds grids of 2×2 points only, so it adds nothing.

The folder with the unpacked `.cdf` and `.nc` files is named by the environment variable FIELDPRESS_CLIMATE
(Debian installs it as /usr/share/ferret-vis/data).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from training.corpus.build import VALIDATION_SEED
from training.corpus.spectral import Array

DEFAULT_FOLDER = "/usr/share/ferret-vis/data"
TRAIN = {
    "coads_climatology.cdf": ("SST", "AIRT", "SPEH", "WSPD", "VWND"),
    "levitus_climatology.cdf": ("TEMP",),
    "ocean_atlas_subset.nc": ("TEMP",),
}
VALIDATION = {"coads_climatology.cdf": ("SLP",), "levitus_climatology.cdf": ("SALT",)}


def fill(frames: Array) -> Array:
    """Holes take the nearest value, then are smoothed; values that were present do not change."""
    out = []
    for frame in frames:
        hole = ~np.isfinite(frame) | (np.abs(frame) > 1e20)
        if hole.all():
            continue
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
        near = np.where(hole, 0, frame)[tuple(nearest)]
        out.append(np.where(hole, ndimage.gaussian_filter(near, 3), near).astype(np.float32))
    return np.stack(out)


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    """The training set for seed 0, the validation set for the first validation seed; sizes are the data's own."""
    import netCDF4

    folder = Path(os.environ.get("FIELDPRESS_CLIMATE", DEFAULT_FOLDER))
    out = {}
    for file, variables in (VALIDATION if seed >= VALIDATION_SEED else TRAIN).items():
        path = folder / file
        if not path.exists():
            raise FileNotFoundError(f"{path}: install ferret-datasets, or set FIELDPRESS_CLIMATE to its data folder")
        with netCDF4.Dataset(path) as data:
            for name in variables:
                values = np.ma.filled(data.variables[name][:].astype(np.float32), np.nan)
                levels = [values] if values.ndim == 3 else [values[:, z] for z in range(0, values.shape[1], 6)]
                for z, level in enumerate(levels):
                    out[f"{path.stem.split('_')[0]}{name.lower()}{z}"] = fill(level)
    return out
