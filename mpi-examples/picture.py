"""Draws an example's archive: python3 picture.py ARCHIVE VARIABLE OUT.png, through `fieldpress extract` (on PATH, or
FIELDPRESS).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def main(archive: str, variable: str, out: str) -> None:
    tool = os.environ.get("FIELDPRESS", "fieldpress")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.npy"
        subprocess.run([tool, "extract", archive, "-o", str(path), "--variable", variable], check=True)
        steps = np.load(path)
    # Of a volume the plane through its middle.
    frames = steps if steps.ndim == 3 else steps[:, steps.shape[1] // 2]
    chosen = np.linspace(0, len(frames) - 1, 4).round().astype(int)
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), constrained_layout=True)
    low, high = frames[chosen].min(), frames[chosen].max()
    for axis, step in zip(axes, chosen, strict=True):
        image = axis.imshow(frames[step], vmin=low, vmax=high, cmap="viridis", origin="lower")
        axis.set(title=f"step {step}", xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, shrink=0.8, label=variable)
    figure.savefig(out, dpi=180)


main(*sys.argv[1:])
