"""The bands of a wavelet transform (section 8), and the inverse and forward transforms (section 10)."""

from dataclasses import dataclass

import numpy as np

from .cut import up

ALPHA = -1.586134342059924
BETA = -0.052980118572961
GAMMA = 0.882911075530934
DELTA = 0.443506852043971
KAPPA = 1.149604398860241


@dataclass
class Band:
    """A band of orientation 0 (corner), 1 (high-pass along rows), 2 (along columns) or 3 (both)."""

    level: int
    orientation: int
    top: int
    left: int
    height: int
    width: int
    parent: int | None = None
    siblings: tuple[int, ...] = ()
    """The bands of lower orientation of its level, where all of them are there."""

    def of(self, plane: np.ndarray) -> np.ndarray:
        return plane[..., self.top : self.top + self.height, self.left : self.left + self.width]


def splits(height: int, width: int) -> int:
    """How often frames are split."""
    side = min(height, width)
    if side == 1:
        side = max(height, width)
    count = 0
    while count < 6 and up(side, 2) >= 4:
        side = up(side, 2)
        count += 1
    return count


def halved(points: int, times: int) -> int:
    """The low-pass points that `times` splits leave."""
    for _ in range(times):
        points = up(points, 2)
    return points


def bands_of(height: int, width: int) -> list[Band]:
    """The bands of a frame in the order of coding."""
    levels = splits(height, width)
    out: list[Band] = []
    places: dict[tuple[int, int], int] = {}

    def add(band: Band) -> None:
        if band.height == 0 or band.width == 0:
            return
        level, orientation = band.level, band.orientation
        if orientation:
            band.parent = places.get((level + 1, orientation))
            lower = [places.get((level, o)) for o in range(1, orientation)]
            if None not in lower:
                band.siblings = tuple(lower)
        places[level, orientation] = len(out)
        out.append(band)

    add(Band(levels, 0, 0, 0, halved(height, levels), halved(width, levels)))
    for level in range(levels, 0, -1):
        low_h, low_w = halved(height, level), halved(width, level)
        high_h, high_w = halved(height, level - 1) - low_h, halved(width, level - 1) - low_w
        add(Band(level, 1, 0, low_w, low_h, high_w))
        add(Band(level, 2, low_h, 0, high_h, low_w))
        add(Band(level, 3, low_h, low_w, high_h, high_w))
    return out


def outside(x: np.ndarray, first: int, count: int) -> np.ndarray:
    """Rows `first` to `first + count` of x; those outside are the nearest one inside."""
    return x[np.clip(np.arange(first, first + count), 0, len(x) - 1)]


def merge(x: np.ndarray) -> np.ndarray:
    """The inverse of one split along the first axis, in the type of `x`."""
    n = len(x)
    if n == 1:
        return x
    real = x.dtype.type
    low = up(n, 2)
    s, d = x[:low] * real(1 / KAPPA), x[low:] * real(KAPPA)
    high = n - low
    s = s + real(-DELTA) * (outside(d, -1, low) + outside(d, 0, low))
    d = d + real(-GAMMA) * (s[:high] + outside(s, 1, high))
    s = s + real(-BETA) * (outside(d, -1, low) + outside(d, 0, low))
    d = d + real(-ALPHA) * (s[:high] + outside(s, 1, high))
    out = np.empty_like(x)
    out[0::2], out[1::2] = s, d
    return out


def split(x: np.ndarray) -> np.ndarray:
    """One split along the first axis, in the type of `x`."""
    n = len(x)
    if n == 1:
        return x
    real = x.dtype.type
    s, d = x[0::2], x[1::2]
    low, high = len(s), len(d)
    d = d + real(ALPHA) * (s[:high] + outside(s, 1, high))
    s = s + real(BETA) * (outside(d, -1, low) + outside(d, 0, low))
    d = d + real(GAMMA) * (s[:high] + outside(s, 1, high))
    s = s + real(DELTA) * (outside(d, -1, low) + outside(d, 0, low))
    return np.concatenate([s * real(KAPPA), d * real(1 / KAPPA)])


def inverse(plane: np.ndarray) -> np.ndarray:
    """A frame from its wavelet transform."""
    frame = plane.copy()
    height, width = frame.shape
    for level in range(splits(height, width), 0, -1):
        h, w = halved(height, level - 1), halved(width, level - 1)
        corner = merge(frame[:h, :w])
        frame[:h, :w] = merge(corner.T).T
    return frame


def forward(frame: np.ndarray) -> np.ndarray:
    """A frame's wavelet transform: rows first, then columns, of each corner."""
    plane = frame.copy()
    height, width = plane.shape
    for level in range(1, splits(height, width) + 1):
        h, w = halved(height, level - 1), halved(width, level - 1)
        corner = split(plane[:h, :w].T).T
        plane[:h, :w] = split(corner)
    return plane
