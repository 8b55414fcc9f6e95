"""The ways that turn frames into eigenframes: `transform`, `previous` and `latents` (section 10)."""

import math

import numpy as np

from .bands import Band, forward, inverse
from .data import require
from .indices import Context, Plane
from .maths import cosine
from .side import Side

CLASSES = 15
PREDICTED = 2
NEGLIGIBLE = 1e-6


def cosine_basis(n: int) -> list[list[float]]:
    """Row k is the k-th cosine over n points."""
    rows = []
    for k in range(n):
        norm = math.sqrt((2.0 if k else 1.0) / n)
        rows.append([norm * cosine(math.pi * (t + 0.5) * k / n) for t in range(n)])
    return rows


def total(row: list[float]) -> float:
    """The sum from the left."""
    out = 0.0
    for x in row:
        out += x
    return out


def dot(a: list[float], b: list[float]) -> float:
    return total([x * y for x, y in zip(a, b, strict=True)])


def stored_basis(entries: list[int], n: int) -> list[list[float]]:
    """An orthonormal basis from its entries in 1/2047."""
    rows: list[list[float]] = []
    for k in range(n):
        row = [entry / 2047 for entry in entries[k * n : (k + 1) * n]]
        for _ in range(2):
            for earlier in rows:
                part = dot(row, earlier)
                row = [x - part * y for x, y in zip(row, earlier, strict=True)]
        norm = math.sqrt(dot(row, row))
        require(norm >= 0.25, f"row {k} of a basis is not independent of the rows before")
        rows.append([x / norm for x in row])
    return rows


class Transform:
    """What these ways carry from window to window."""

    def __init__(
        self,
        bands: list[Band],
        working: type[np.floating],
        predicts: bool,
        window: int,
        basis: list[list[float]] | None,
        before: np.ndarray | None,
        depth: int,
    ) -> None:
        self.bands, self.working, self.predicts = bands, working, predicts
        self.window, self.basis, self.depth = window, basis, depth
        self.planes: list[np.ndarray] | None = None
        """The planes of the previous window; None without one."""
        self.rows: list[list[float]] = []
        if before is not None:
            self.planes, self.rows = [forward(before)], [[1.0]]

    def windows(self, planes: int) -> list[int]:
        whole, rest = divmod(planes, self.window * self.depth)
        return [self.window * self.depth] * whole + [rest] * (rest > 0)

    def plan(self, count: int, previous: list[Plane], planes: list[Plane]) -> tuple[int, list[Context]]:
        """How many planes are predicted, and what each is coded under."""
        predicted = min(count, PREDICTED) if self.predicts and self.planes is not None else 0
        contexts = []
        for k in range(count):
            same = previous[k] if k < len(previous) else None
            frame, plane = divmod(k, self.depth)
            below = planes[k - 1] if plane else None
            earlier = planes[k - self.depth] if frame else None
            near, far, *_ = [*(p for p in (below, earlier) if p is not None), same, None]
            contexts.append(Context(near, far, min(frame + plane, CLASSES)))
        return predicted, contexts

    def layers(self, count: int) -> list[int]:
        """The layer of each plane, which sets its step."""
        return [0] * count

    def reconstruct(self, values: list[np.ndarray], side: Side) -> np.ndarray:
        """The frames of a window from its decoded values."""
        count = len(values) // self.depth
        own = self.basis is not None and count == self.window
        rows = self.basis if own and self.basis is not None else cosine_basis(count)
        if side.weights:
            self._predict(values, side)
        shape = values[0].shape
        eigenframes = np.stack([inverse(plane) for plane in values]).reshape(count, self.depth, *shape)
        frames = self._blended(rows, eigenframes)
        if self.depth > 1:
            frames = self._blended(cosine_basis(self.depth), frames.swapaxes(0, 1)).swapaxes(0, 1)
        self.planes, self.rows = values, rows
        return frames.reshape(len(values), *shape)

    def _blended(self, rows: list[list[float]], parts: np.ndarray) -> np.ndarray:
        """What parts along the first axis come to, summed from the first."""
        out = np.zeros_like(parts)
        for k, part in enumerate(parts):
            for t in range(len(parts)):
                out[t] += self.working(rows[k][t]) * part
        return out

    def _predict(self, values: list[np.ndarray], side: Side) -> None:
        """Adds to the first planes what the last frame and the mean of the previous window say of them."""
        root = math.sqrt(len(values))
        frames = len(self.rows[0])
        last = self._blend([row[-1] * root for row in self.rows])
        mean = self._blend([total(row) / frames * root for row in self.rows])
        for plane, weights in zip(values, side.weights, strict=False):
            for band, (first, second) in zip(self.bands, weights, strict=True):
                for weight, reference in ((first, last), (second, mean)):
                    if weight:
                        part = band.of(plane)
                        part += self.working(weight / 16) * band.of(reference)

    def _blend(self, weights: list[float]) -> np.ndarray:
        """The sum of the previous planes under these weights."""
        assert self.planes is not None
        out = np.zeros_like(self.planes[0])
        for weight, plane in zip(weights, self.planes, strict=True):
            if abs(weight) > NEGLIGIBLE:
                out += self.working(weight) * plane
        return out
