"""The way `hierarchical`: the middle frame of every gap from those around it (section 11)."""

from dataclasses import dataclass

import numpy as np

from .bands import Band, forward, inverse
from .data import NeedsModel
from .indices import Context, Plane
from .side import Side

CLASSES = 15
REACH = 4


@dataclass
class Frame:
    """A frame in coding order: its time in the window, its layer, and its references (times), outer ones last."""

    time: int
    layer: int
    references: tuple[int, ...] = ()
    outer: tuple[int | None, int | None] = (None, None)
    half: int = 0

    @property
    def symmetric(self) -> bool:
        """Whether it lies in the middle of its references: only then the model may predict it."""
        return len(self.references) == 2 and self.references[1] - self.references[0] == 2 * self.half


def order(count: int, previous: int) -> list[Frame]:
    """The frames of a window of `count` after one of `previous` frames, in coding order."""
    out: list[Frame] = []
    known = set(range(-previous, 0))
    start = -1
    if previous == 0:
        out.append(Frame(0, 0))
        start = 0
        known.add(0)
    if count - 1 > start:
        older = -previous if previous > 1 else None
        out.append(Frame(count - 1, 0, (start,), (older, None)))
        known.add(count - 1)
    gaps = [(start, count - 1)]
    layer = 1
    while gaps:
        following, made = [], []
        for low, high in gaps:
            if high - low < 2:
                continue
            half = 1
            while 2 * half < high - low:
                half *= 2
            frame = Frame(low + half, layer, (low, high), half=half)
            if frame.symmetric:
                far = (low - 2 * half, high + 2 * half)
                frame.outer = tuple(t if t in known else None for t in far)
            made.append(frame)
            following += [(low, low + half), (low + half, high)]
        out += made
        known |= {frame.time for frame in made}
        gaps = following
        layer += 1
    return out


class Hierarchical:
    """What this way carries from window to window."""

    def __init__(
        self,
        bands: list[Band],
        working: type[np.floating],
        window: int,
        before: np.ndarray | None,
    ) -> None:
        self.bands, self.working, self.window = bands, working, window
        self.planes: list[np.ndarray] = []
        """The planes of the previous window, by time."""
        self.previous = 0
        if before is not None:
            self.planes, self.previous = [forward(before)], 1
        self.order: list[Frame] = []

    def windows(self, frames: int) -> list[int]:
        out = []
        if not self.previous:
            out.append(min(self.window + 1, frames))
            frames -= out[0]
        whole, rest = divmod(frames, self.window)
        return out + [self.window] * whole + [rest] * (rest > 0)

    def plan(self, count: int, previous: list[Plane], planes: list[Plane]) -> tuple[int, list[Context]]:
        """How many planes are predicted, and what each is coded under."""
        self.order = order(count, self.previous)
        contexts = []
        for i, frame in enumerate(self.order):
            others = sorted(
                (abs(other.time - frame.time) + REACH * (frame.layer - other.layer), j)
                for j, other in enumerate(self.order[:i])
            )
            resembling = [planes[j] for _, j in others[:2]]
            older = previous[min(i, len(previous) - 1)] if previous else None
            near, far = [*resembling, older, older][:2]
            contexts.append(Context(near, far, min(frame.layer, CLASSES)))
        self.previous = count
        return sum(bool(frame.references) for frame in self.order), contexts

    def layers(self, count: int) -> list[int]:
        return [frame.layer for frame in self.order]

    def reconstruct(self, values: list[np.ndarray], side: Side) -> np.ndarray:
        """The frames of a window from its decoded values."""
        count = len(values)
        planes = {t - len(self.planes): plane for t, plane in enumerate(self.planes)}
        weights = iter(side.weights)
        modelled = side.modelled or [False] * count
        for frame, value, model in zip(self.order, values, modelled, strict=True):
            if frame.references:
                if model:
                    raise NeedsModel("the model's interpolator predicts a frame")
                self._predict(frame, value, next(weights), planes)
            planes[frame.time] = value
        self.planes = [planes[t] for t in range(count)]
        return np.stack([inverse(plane) for plane in self.planes])

    def _predict(
        self, frame: Frame, value: np.ndarray, weights: list[tuple[int, int]], planes: dict[int, np.ndarray]
    ) -> None:
        base, second = self._base(frame, planes)
        for band, (first, other) in zip(self.bands, weights, strict=True):
            part = band.of(value)
            if first:
                part += self.working(first / 16) * band.of(base)
            if other and second is not None:
                part += self.working(other / 16) * band.of(second)

    def _base(self, frame: Frame, planes: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        low = planes[frame.references[0]]
        before, after = (None if t is None else planes[t] for t in frame.outer)
        if len(frame.references) == 1:
            return low, before
        high = planes[frame.references[1]]
        if before is not None and after is not None:
            terms = [(9 / 16, low), (9 / 16, high), (-1 / 16, before), (-1 / 16, after)]
        elif before is not None:
            terms = [(3 / 4, low), (3 / 8, high), (-1 / 8, before)]
        elif after is not None:
            terms = [(3 / 8, low), (3 / 4, high), (-1 / 8, after)]
        else:
            v = frame.half / (frame.references[1] - frame.references[0])
            terms = [(1 - v, low), (v, high)]
        base = np.zeros_like(low)
        for factor, plane in terms:
            base += self.working(factor) * plane
        return base, None
