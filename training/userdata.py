"""Users' own sequences for fine-tuning: checked before anything starts, and brought into the form that training
reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

WINDOWS = 8
"""A sequence has to reach over this many times the largest frame distance asked for: one hierarchical window."""
STILL = 2e-5
"""RMS change between frames over the range below which there is nothing to learn: far below any bound."""
TOWARDS = "fine-tuning reads .npy files [frames, H, W] of finite real numbers, one variable each, in order of time"


def refuse(path: Path, what: str) -> ValueError:
    return ValueError(f"{path}: {what}; {TOWARDS}")


def opened(path: Path, distances: Sequence[int]) -> np.ndarray:
    """The sequence of a file, mapped.

    Raises `ValueError`, with the file and what is wrong with it, where training cannot use it at these frame
    distances."""
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as wrong:
        raise refuse(path, f"no array of numbers ({wrong})") from None
    if not isinstance(frames, np.ndarray) or frames.dtype.kind not in "fiu":
        raise refuse(path, f"it holds {getattr(frames, 'dtype', type(frames).__name__)}")
    if frames.ndim != 3:
        raise refuse(path, f"it has {frames.ndim} dimensions, {frames.shape}")
    needed = WINDOWS * max(distances) + 1
    if len(frames) < needed:
        raise refuse(
            path, f"{len(frames)} frames are too few for a frame distance of {max(distances)}, which takes {needed}"
        )
    return frames


def limits(path: Path, frames: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value; they differ."""
    least, most = np.inf, -np.inf
    for t, frame in enumerate(frames):
        bad = int(frame.size - np.count_nonzero(np.isfinite(frame)))
        if bad:
            raise refuse(path, f"{bad} values of frame {t} are NaN or infinite (fill them in with what lies around)")
        least, most = min(least, float(frame.min())), max(most, float(frame.max()))
    if not most > least:
        raise refuse(path, f"all values are {least:g}")
    return least, most


def prepare(path: Path, out: Path, distances: Sequence[int]) -> None:
    """Writes a user's sequence to `out` in units of its range, less its middle, in single precision: fields of any unit
    and precision train alike, since the networks see no units. One frame or two are in memory at a time.

    Raises `ValueError` as [`opened`] does, and where values are not finite, are all alike, or do not change in time."""
    frames = opened(path, distances)
    least, most = limits(path, frames)

    def unit(t: int) -> np.ndarray:
        # Halves, since the range of f64 may be larger than f64.
        return (frames[t].astype(np.float64) / 2 - (most / 4 + least / 4)) / (most / 2 - least / 2)

    step = max(distances)
    changes = [np.mean(np.square(unit(t) - unit(t - step))) for t in range(step, len(frames), step)]
    change = float(np.sqrt(np.mean(changes)))
    if change < STILL:
        raise refuse(
            path,
            f"between frames at distance {step} values change by {change:.1e} of their range (from {least:g} to "
            f"{most:g}; is one of these a fill value?)",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part.npy")
    made = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=frames.shape)
    for t in range(len(frames)):
        made[t] = unit(t)
    made.flush()
    part.rename(out)
