"""The autoencoder's latents (section 12): their bytes, and `z`, which the package's tables alone decode."""

import itertools
import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cut import Segment, up
from .data import Corrupt, Reader, require

HALF = 32768
LARGEST_Z = 127
LONGEST_ESCAPE = 21


@dataclass
class Row:
    """A row of a table: symbol i is the value `least` + i; the last symbol is the escape."""

    least: int
    bounds: list[int]


@dataclass
class Package:
    """What of a model package the latents' bytes need, but for the hyper-decoder's graph."""

    align: int
    largest_tile: int
    frames: int
    gains: int
    z_down: int
    z: list[Row]


def read_package(folder: Path) -> Package:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["latents"]
    tables = json.loads((folder / manifest["tables"]).read_text(encoding="utf-8"))
    rows = [Row(row["min"], row["cdf"]) for row in tables["z"]]
    return Package(
        manifest["align"],
        manifest["max_tile"],
        manifest["frames"],
        len(manifest["gains"]),
        manifest["z_downsample"],
        rows,
    )


class Rans:
    """A rANS decoder: a state of 64 bits, refilled from the end by words of 32."""

    def __init__(self, data: bytes) -> None:
        require(not data or data[-1], "the last byte of a rANS code is 0")
        padded = data.ljust(up(len(data), 4) * 4, b"\0")
        self.words = [int(word) for word in np.frombuffer(padded, "<u4")]
        self.state = 0
        for _ in range(2):
            self._refill()

    def _refill(self) -> None:
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def symbol(self, bounds: list[int]) -> int:
        """The symbol whose interval `bounds[i]` to `bounds[i + 1]` the state lies in."""
        q = self.state & 0xFFFF
        symbol = bisect_right(bounds, q) - 1
        start, after = bounds[symbol], bounds[symbol + 1]
        self.state = (self.state >> 16) * (after - start) + q - start
        self._refill()
        return symbol

    def value(self, row: Row) -> int:
        symbol = self.symbol(row.bounds)
        return self._escaped() if symbol == len(row.bounds) - 2 else row.least + symbol

    def _escaped(self) -> int:
        bit = [0, HALF, 2 * HALF]
        digits = 0
        while not self.symbol(bit):
            digits += 1
            if digits > LONGEST_ESCAPE:
                raise Corrupt("an escaped latent is too long")
        n = 1
        for _ in range(digits):
            n = n << 1 | self.symbol(bit)
        zigzag = n - 1
        return zigzag >> 1 if zigzag & 1 == 0 else -(zigzag + 1 >> 1)


def stretches(points: int, align: int, largest: int) -> list[int]:
    """The lengths of the tiles along an axis."""
    units, count = up(points, align), up(points, largest)
    bounds = [min(units * k // count * align, points) for k in range(count + 1)]
    return [b - a for a, b in itertools.pairwise(bounds)]


@dataclass
class Tile:
    """What a tile's bytes say without the hyper-decoder: the index of its gain, and z [channel][row][column]."""

    gain: int
    z: np.ndarray


def read(data: bytes, segment: Segment, windows: int, package: Package) -> list[Tile]:
    """The tiles of all windows of a segment, in order."""
    reader = Reader(data)
    out = []
    for _ in range(windows):
        for height in stretches(segment.height, package.align, package.largest_tile):
            for width in stretches(segment.width, package.align, package.largest_tile):
                part = Reader(reader.take(reader.varint()))
                gain = part.u8()
                require(gain < package.gains, f"gain {gain} of {package.gains}")
                code = Rans(part.take(part.left()))
                rows, columns = (up(n, package.align) * package.align // package.z_down for n in (height, width))
                z = np.array([[code.value(row) for _ in range(rows * columns)] for row in package.z])
                require(np.abs(z).max() <= LARGEST_Z, "a z is out of range")
                out.append(Tile(gain, z.reshape(len(package.z), rows, columns)))
    reader.done("the latents")
    return out
