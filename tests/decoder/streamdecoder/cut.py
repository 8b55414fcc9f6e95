"""How a field is cut into segments (section 5)."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .header import Header

# The most points of a tile, and its sides; of a plane of a brick of volumes, and its depth.
TILE, SIDE = 1 << 17, 360
BRICK, BRICK_SIDE, BRICK_DEPTH, LEAST_DEPTH = 1 << 16, 256, 16, 4


@dataclass
class Segment:
    """Frames `first` to `first + frames` of the tile at (`front`, `top`, `left`) of one series."""

    series: tuple[int, ...]
    first: int
    frames: int
    front: int
    depth: int
    top: int
    height: int
    left: int
    width: int

    def of(self, view: np.ndarray) -> np.ndarray:
        """This segment's part of `by_series`."""
        frames = slice(self.first, self.first + self.frames)
        planes = slice(self.front, self.front + self.depth)
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        return view[self.series][frames, planes, rows, columns]

    @property
    def planes(self) -> int:
        """Those of all frames."""
        return self.frames * self.depth


def by_series(values: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    """A view of a field as series (any number of axes), frames, planes, rows, columns."""
    if values.ndim < 3:
        return values[(None,) * (4 - values.ndim)]
    if axes:
        values = np.moveaxis(values, axes, range(-len(axes), 0))
    return values if axes and len(axes) == 4 else np.expand_dims(values, -3)


def up(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)


def pieces(points: int, target: int) -> list[int]:
    if points <= target:
        return [points]
    size = up(up(points, up(points, target)), 8) * 8
    whole, rest = divmod(points, size)
    return [size] * whole + [rest] * (rest > 0)


def sides(rows: int, columns: int, of_volumes: bool) -> tuple[int, int]:
    """Target sides of a tile."""
    area, side = (BRICK, BRICK_SIDE) if of_volumes else (TILE, SIDE)
    if rows * columns <= area:
        return rows, columns
    if rows <= side:
        return rows, area // rows
    if columns <= side:
        return area // columns, columns
    return side, side


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
    frames, planes, rows, columns = shape[-4:]
    height, width = sides(rows, columns, of_volumes(header))
    along = [placed(bricks(planes)), *(placed(pieces(n, m)) for n, m in ((rows, height), (columns, width)))]
    for series in np.ndindex(shape[:-4]):
        for (front, deep), (top, tall), (left, wide) in itertools.product(*along):
            for first, run in placed(runs(frames, frames_of_segment)):
                yield Segment(series, first, run, front, deep, top, tall, left, wide)


def bricks(planes: int) -> list[int]:
    whole, rest = divmod(planes, BRICK_DEPTH)
    if rest >= LEAST_DEPTH or not whole:
        return [BRICK_DEPTH] * whole + [rest] * (rest > 0)
    return [BRICK_DEPTH] * (whole - 1) + [BRICK_DEPTH + rest]


def of_volumes(header: Header) -> bool:
    return header.axes is not None and len(header.axes) == 4


def placed(sizes: list[int]) -> list[tuple[int, int]]:
    """Where pieces that follow each other begin, and their sizes."""
    return list(zip(itertools.accumulate(sizes, initial=0), sizes, strict=False))


def segment_count(header: Header, frames_of_segment: int) -> int:
    """How many segments a field has, without making them: a header may declare any size."""
    shape = by_series(np.broadcast_to(np.zeros(1), header.shape), header.axes).shape
    frames, planes, rows, columns = shape[-4:]
    height, width = sides(rows, columns, of_volumes(header))
    sizes = ((rows, height), (columns, width))
    deep = max(1, planes // BRICK_DEPTH + (planes % BRICK_DEPTH >= LEAST_DEPTH))
    along = [1 if n <= m else up(n, up(up(n, up(n, m)), 8) * 8) for n, m in sizes]
    whole, rest = divmod(frames, frames_of_segment)
    time = whole + (rest >= max(1, frames_of_segment // 4) or (rest > 0 and whole == 0))
    return math.prod(shape[:-4]) * deep * math.prod(along) * time
