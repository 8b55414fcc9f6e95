"""How a field is cut into segments (section 5)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .header import Header

TILE = 1 << 17
SIDE = 360


@dataclass
class Segment:
    """Frames `first` to `first + frames` of the tile at (`top`, `left`) of one series."""

    series: tuple[int, ...]
    first: int
    frames: int
    top: int
    left: int
    height: int
    width: int

    def of(self, view: np.ndarray) -> np.ndarray:
        """This segment's part of `by_series`."""
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        return view[self.series][self.first : self.first + self.frames, rows, columns]


def by_series(values: np.ndarray, axes: tuple[int, int, int] | None) -> np.ndarray:
    """A view of a field as series (any number of axes), frames, rows, columns."""
    if values.ndim == 1:
        return values[None, None, :]
    if values.ndim == 2:
        return values[None]
    return np.moveaxis(values, axes, (-3, -2, -1)) if axes else values


def up(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)


def pieces(points: int, target: int) -> list[int]:
    if points <= target:
        return [points]
    size = up(up(points, up(points, target)), 8) * 8
    whole, rest = divmod(points, size)
    return [size] * whole + [rest] * (rest > 0)


def sides(rows: int, columns: int) -> tuple[int, int]:
    """Target sides of a tile."""
    if rows * columns <= TILE:
        return rows, columns
    if rows <= SIDE:
        return rows, TILE // rows
    if columns <= SIDE:
        return TILE // columns, columns
    return SIDE, SIDE


def runs(frames: int, most: int) -> list[int]:
    whole, rest = divmod(frames, most)
    out = [most] * whole
    if rest >= max(1, most // 4) or (rest and not whole):
        out.append(rest)
    elif rest:
        out[-1] += rest
    return out


def segments(header: Header, frames_of_segment: int) -> Iterator[Segment]:
    """The segments of a field in the order of their sections."""
    shape = by_series(np.broadcast_to(np.zeros(1), header.shape), header.axes).shape
    frames, rows, columns = shape[-3:]
    height, width = sides(rows, columns)
    for series in np.ndindex(shape[:-3]):
        top = 0
        for tall in pieces(rows, height):
            left = 0
            for wide in pieces(columns, width):
                first = 0
                for run in runs(frames, frames_of_segment):
                    yield Segment(series, first, run, top, left, tall, wide)
                    first += run
                left += wide
            top += tall


def segment_count(header: Header, frames_of_segment: int) -> int:
    """How many segments a field has, without making them: a header may declare any size."""
    shape = by_series(np.broadcast_to(np.zeros(1), header.shape), header.axes).shape
    frames, rows, columns = shape[-3:]
    height, width = sides(rows, columns)
    along = [1 if n <= m else up(n, up(up(n, up(n, m)), 8) * 8) for n, m in ((rows, height), (columns, width))]
    whole, rest = divmod(frames, frames_of_segment)
    time = whole + (rest >= max(1, frames_of_segment // 4) or (rest > 0 and whole == 0))
    return math.prod(shape[:-3]) * along[0] * along[1] * time
