"""Draws a slice as it was and as it came back, and the error between them:

    picture.py OUT.png TITLE BOUND SLICES.npz                         from check.py
    picture.py OUT.png TITLE BOUND ORIGINAL.f32|f64 DECODED.npy       the last frame of a window
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def main(out: str, title: str, bound: str, first: str, second: str | None = None) -> None:
    if second is None:
        arrays = np.load(first)
        original, decoded = arrays["original"], arrays["decoded"]
    else:
        window = np.load(second)
        original, decoded = np.fromfile(first, window.dtype).reshape(window.shape)[-1], window[-1]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    limits = {"vmin": original.min(), "vmax": original.max(), "cmap": "viridis", "origin": "lower"}
    for axis, values, name in zip(axes, (original, decoded), ("as computed", "decompressed"), strict=False):
        figure.colorbar(axis.imshow(values, **limits), ax=axis, shrink=0.8)
        axis.set_title(name)
    limit = float(bound)
    error = axes[2].imshow(decoded - original, vmin=-limit, vmax=limit, cmap="RdBu", origin="lower")
    figure.colorbar(error, ax=axes[2], shrink=0.8)
    axes[2].set_title(f"error (bound {limit:g})")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(title)
    figure.savefig(out, dpi=180)


if __name__ == "__main__":
    main(*sys.argv[1:])
