"""Side information (section 7)."""

from dataclasses import dataclass

from .bands import Band
from .coder import Counters, Decoder
from .data import require

LIMIT = 30


@dataclass
class Side:
    """What the side information says of a window."""

    step: int
    centroids: tuple[int, int, int]
    weights: list[list[tuple[int, int]]]
    """For each predicted plane and each band, in sixteenths."""
    modelled: list[bool]
    """For each frame in coding order, whether the model predicts it."""


class SideCoder:
    """The counters of a segment's side information, and its last step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.exponents = Counters(32)
        self.centroids = Counters(3 * 64)
        self.weights = Counters(2 * 8 * 2 * 128)
        self.flags = Counters(2)

    def window(self, decoder: Decoder, bands: list[Band], predicted: int, flagged: int) -> Side:
        """`predicted` planes have weights; `flagged` frames say whether the model predicts them."""
        exponent = decoder.exponent(self.exponents, 0, LIMIT, 20)
        zigzag = (1 << exponent | decoder.raw(exponent)) - 1
        self.step += zigzag >> 1 if zigzag & 1 == 0 else -((zigzag + 1) >> 1)
        require(-32768 <= self.step <= 32767, "a step is out of range")
        centroids = tuple(decoder.tree(self.centroids, 64 * k, 6, LIMIT) - 32 for k in range(3))
        require(all(abs(c) <= 31 for c in centroids), "a centroid is out of range")
        weights = [[self._pair(decoder, band, plane) for band in bands] for plane in range(predicted)]
        modelled, last = [], 0
        for _ in range(flagged):
            last = decoder.counted(self.flags, last, LIMIT)
            modelled.append(bool(last))
        return Side(self.step, centroids, weights, modelled)

    def _pair(self, decoder: Decoder, band: Band, plane: int) -> tuple[int, int]:
        base = (min(band.level, 7) * 2 + min(plane, 1)) * 128
        pair = [decoder.tree(self.weights, which * 8 * 2 * 128 + base, 7, LIMIT) - 64 for which in range(2)]
        require(all(abs(w) <= 32 for w in pair), "a weight is out of range")
        return pair[0], pair[1]
