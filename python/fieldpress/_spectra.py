"""Power spectra of frames, and how an error is correlated with itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft, signal

from .errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

#: Distances along an axis, in points, at which the error's autocorrelation is taken.
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
#: Power that rounding in float64 leaves where there is none, over the largest.
ROUNDING = 1e-26


@dataclass(frozen=True)
class Spectrum:
    """Mean power of the frames over wavenumbers, in the field's units squared.

    Frames are less their mean, zero where there is no data, and under a Hann window along each axis of more than one
    point. Wavenumbers are rounded, in cycles over the longer side of a frame, and the same in all directions of the
    grid.
    """

    wavenumber: NDArray[np.int64]
    """From 1 to half of the longer side."""
    original: Values
    decoded: Values
    error: Values

    def deviation(self, up_to: int | None = None) -> float:
        """The largest \\|decoded / original − 1\\| over the wavenumbers 1 to ``up_to``, or all.

        Raises
        ------
        InvalidArgument
            For a wavenumber that the frames do not have.
        """
        most = int(self.wavenumber[-1]) if self.wavenumber.size else 0
        if up_to is not None and not 1 <= up_to <= most:
            raise InvalidArgument(f"the frames have the wavenumbers 1 to {most}; {up_to} is none of them")
        ratio = self.ratio()[:up_to]
        return float(np.max(np.abs(ratio - 1), initial=0.0))

    def ratio(self) -> Values:
        """Decoded over original at each wavenumber; 1 where neither has more power than rounding leaves."""
        nothing = ROUNDING * np.max(self.original, initial=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.decoded / self.original
        return np.where(np.maximum(self.original, self.decoded) <= nothing, 1.0, ratio)


class SpectrumSum:
    """Spectra of a field's frames, added up."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = shape
        side = max(shape)
        down, across = fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)[None, :]
        self._bins = np.rint(np.hypot(down, across) * side).astype(np.int64)
        # The half of the plane that is computed stands for the other.
        self._weight = np.full(self._bins.shape, 2.0)
        self._weight[:, 0] = 1.0
        if columns % 2 == 0:
            self._weight[:, -1] = 1.0
        windows = [signal.windows.hann(n, sym=False) if n > 1 else np.ones(1) for n in shape]
        self._window = np.outer(*windows)
        self._most = side // 2
        self._counts = self._binned(np.ones(self._bins.shape))
        self._sums = np.zeros((3, self._most))
        self._frames = 0

    def _binned(self, power: Values) -> Values:
        bins = np.bincount(self._bins.ravel(), (power * self._weight).ravel(), self._most + 1).astype(np.float64)
        return bins[1 : self._most + 1]

    def add(self, x: Values, y: Values, valid: Mask) -> None:
        """Adds a frame and its decoded values; those without data are passed over."""
        if not valid.any():
            return
        middle = float(x[valid].mean())
        first = np.where(valid, x - middle, 0.0) * self._window
        second = np.where(valid, y - middle, 0.0) * self._window
        for sums, values in zip(self._sums, (first, second, second - first), strict=True):
            sums += self._binned(np.abs(fft.rfft2(values, norm="forward")) ** 2)
        self._frames += 1

    def result(self, unit: float) -> Spectrum:
        """The means, of values that were in ``unit``."""
        number = np.arange(1, self._most + 1)
        with np.errstate(invalid="ignore", over="ignore"):
            power = self._sums / np.maximum(self._counts, 1) / max(self._frames, 1) * unit**2
        there = self._counts > 0
        return Spectrum(number[there], *(of[there] for of in power))


def autocorrelation(error: Values, valid: Mask) -> Mapping[int, Mapping[int, float]]:
    """The correlation of an error with itself some points away: by axis, by distance.

    Near 0 is noise. Axes of one point are left out, and so are distances beyond a half of an axis; empty where there is
    no error.
    """
    points = int(valid.sum())
    centred = np.where(valid, error - (error[valid].mean() if points else 0.0), 0.0)
    variance = float((centred**2).sum()) / max(points, 1)
    if not variance > 0 or not math.isfinite(variance):
        return {}
    out = {}
    for axis, n in enumerate(error.shape):
        lags = [lag for lag in LAGS if 2 * lag <= n]
        if lags:
            out[axis] = {lag: _at(centred, valid, axis, lag) / variance for lag in lags}
    return out


def _at(centred: Values, valid: Mask, axis: int, lag: int) -> float:
    """The mean product of values ``lag`` apart, over pairs with data."""

    def part(of: NDArray[Any], where: slice) -> NDArray[Any]:
        return of[(slice(None),) * axis + (where,)]

    near, far = slice(None, -lag), slice(lag, None)
    pairs = int((part(valid, near) & part(valid, far)).sum())
    return float((part(centred, near) * part(centred, far)).sum()) / max(pairs, 1)
