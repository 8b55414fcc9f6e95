"""Corrections of single points to the bounds `abs` and `rel` (section 14)."""

from dataclasses import dataclass

import numpy as np

from .bands import Band
from .coder import Decoder
from .data import require
from .indices import Context, IndexCoder, Plane

CHANCE = 4096
STEP = 1.9


@dataclass
class Correction:
    """What is corrected in a window."""

    multiples: np.ndarray
    stored: list[tuple[int, int]]
    """Indices in the window, and the bits of the values there."""


class PointwiseCoder:
    """All adaptive state of a segment's corrections."""

    def __init__(self, height: int, width: int) -> None:
        self.bands = [Band(0, 0, 0, 0, height, width)]
        self.shape = (height, width)
        self.coder = IndexCoder(self.bands, mixing=False)

    def window(self, decoder: Decoder, frames: int, bits: int) -> Correction | None:
        if not decoder.bit(CHANCE):
            return None
        planes = [Plane(self.bands) for _ in range(frames)]
        contexts = [Context(planes[k - 1] if k else None, None, int(k > 0)) for k in range(frames)]
        multiples = np.zeros((frames, *self.shape), np.int64)
        self.coder.window(decoder, planes, contexts, multiples)
        stored = []
        count = decoder.raw(40)
        require(count <= multiples.size, "more points are stored than a window has")
        for _ in range(count):
            index, pattern = decoder.raw(40), decoder.raw(64)
            require(index < multiples.size, "a stored point lies outside of its window")
            stored.append((index, pattern & (1 << bits) - 1))
            decoder.check()
        return Correction(multiples, stored)


def apply(correction: Correction, values: np.ndarray, epsilon: float, limits: tuple[float, float] | None) -> None:
    """Corrects a window's values, in their own type, within limits."""
    moved = values.astype(np.float64) + correction.multiples.astype(np.float64) * (STEP * epsilon)
    changed = correction.multiples != 0
    values[changed] = moved[changed].astype(values.dtype)
    if limits:
        low, high = np.array(limits).astype(values.dtype)
        fixed = values[changed]
        values[changed] = np.where(fixed < low, low, np.where(fixed > high, high, fixed))
    bits = values.reshape(-1).view(f"<u{values.dtype.itemsize}")
    for index, pattern in correction.stored:
        bits[index] = pattern
