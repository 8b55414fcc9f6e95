"""Reads Gray-Scott's file as an analysis would, with the package adios2 alone, and compares it with the originals:

    check.py FILE.bp ORIGINALS.f64 BOUND [SLICES.npz]

SLICES.npz gets the middle slices of the last output, for the picture.
"""

from __future__ import annotations

import sys

import adios2
import numpy as np


def main(path: str, originals: str, bound: str, slices: str | None = None) -> None:
    with adios2.FileReader(path) as file:
        steps = file.num_steps()
        v = np.stack([file.read("V", step_selection=[step, 1]) for step in range(steps)])
    v = v.reshape(-1, *v.shape[-3:])  # a window's time axis, where there is one, goes into the steps
    expected = np.fromfile(originals).reshape(v.shape)
    error = np.abs(v - expected).max()
    print(f"{len(v)} outputs of {'x'.join(map(str, v.shape[1:]))}, largest error {error:.3g}")
    assert error <= float(bound), f"the bound {bound} is broken: {error}"
    assert np.ptp(expected[-1]) > 0.1, "nothing happened in the simulation"
    if slices:
        middle = v.shape[1] // 2
        np.savez(slices, original=expected[-1, middle], decoded=v[-1, middle])


if __name__ == "__main__":
    main(*sys.argv[1:])
