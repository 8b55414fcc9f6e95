"""Errors between a field and its decoded values, computed here, without the library that is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import field, marks, valid_points
from ._settings import Bounds, bound, keywords
from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

#: Sides of the blocks of ``block_l2`` along frames, rows and columns.
BLOCK = 8
#: Sums over many points differ in their last digits, by their order.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Quality:
    """Errors of a decoded field, over the points with data."""

    points: int
    """Points with data."""
    masked: int
    """Points without: NaN, infinities, the fill value."""
    masked_changed: int
    """Masked points that did not come back bit for bit."""
    changed: int
    """Points of any kind that did not."""
    range: float
    """Maximum − minimum of the original."""
    rmse: float
    """Root mean square error."""
    max_abs_error: float
    """Largest error; infinite where a value was lost."""
    max_block_l2: float
    """Largest ℓ2 norm of the error over a block of 8×8×8."""
    max_pw_rel: float
    """Largest error over the size of the point's own value; infinite where a zero or a sign changed."""
    mean_error: float
    """Mean of decoded − original."""
    pearson: float
    """Correlation of original and decoded; NaN for a constant field."""

    @property
    def nrmse(self) -> float:
        """Root mean square error over the range."""
        return 0.0 if self.rmse == 0.0 else self.rmse / self.range if self.range else math.inf

    @property
    def psnr(self) -> float:
        """20 log10(range / RMSE) in dB."""
        return -20 * math.log10(self.nrmse) if self.nrmse else math.inf

    @keywords(Bounds)
    def holds(self, **bounds: Unpack[Bounds]) -> bool:
        """Whether a bound holds, those that are relative over the original's range."""
        kind, value = bound(bounds)
        slack = 1 + ROUNDING
        within = {
            "abs": self.max_abs_error <= value,
            "rel": self.max_abs_error <= value * self.range * slack,
            "nrmse": self.rmse <= value * self.range * slack,
            "psnr": self.rmse <= self.range * 10 ** (-value / 20) * slack,
            "block_l2": self.max_block_l2 <= value * slack,
            "pw_rel": self.max_pw_rel <= value * slack,
            "lossless": self.changed == 0,
        }
        return within[kind] and self.masked_changed == 0


def quality(original: ArrayLike, decoded: ArrayLike, *, fill_value: float | Sequence[float] | None = None) -> Quality:
    """Compares a field with its decoded values, in float64; `assess` says much more of them.

    Parameters
    ----------
    original, decoded
        Arrays of one shape and type, of which the last three axes are frames, rows and columns.
    fill_value
        The value, or values, that mark points without data; those that a stream found are in its `StreamInfo.masked`.

    Raises
    ------
    InvalidArgument
        For arrays of different shapes or types.
    """
    masked = marks(fill_value)
    x, y = (field(a, masked[0] if masked else None) for a in (original, decoded))
    if x.shape != y.shape or x.dtype != y.dtype:
        raise InvalidArgument(f"{x.dtype} of shape {x.shape} cannot be compared with {y.dtype} of shape {y.shape}")
    x, y = (a.reshape((1,) * (4 - a.ndim) + a.shape) if a.ndim < 4 else a for a in (x, y))
    x, y = (a.reshape(-1, *a.shape[-3:]) for a in (x, y))
    slabs = [(x[k, t : t + BLOCK], y[k, t : t + BLOCK]) for k in range(len(x)) for t in range(0, x.shape[1], BLOCK)]
    unit = max((_largest(a, b, masked) for a, b in slabs), default=0.0)
    # Squares of very small or large values are no float64; in units of the largest error, or value, they are.
    sums = _Sums(unit if 0 < unit < math.inf else 1.0, masked)
    for a, b in slabs:
        sums.add(a, b)
    return sums.result(unit)


def _differences(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", over="ignore"):
        difference = y.astype(np.float64) - x.astype(np.float64)
    # A value lost to NaN is as wrong as can be.
    return np.where(np.isnan(difference), np.inf, difference)


def _relative(x: NDArray[Any], y: NDArray[Any], changed: NDArray[np.bool_]) -> float:
    lost = changed & ((x == 0) | (y == 0) | (np.signbit(x) != np.signbit(y)))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.abs(_differences(x, y)) / np.abs(x.astype(np.float64))
    return float(np.max(np.where(lost, np.inf, np.where(changed, shares, 0.0)), initial=0.0))


def _largest(x: NDArray[Any], y: NDArray[Any], masked: Sequence[float]) -> float:
    return float(np.max(np.abs(_differences(x, y)), initial=0.0, where=valid_points(x, masked)))


class _Sums:
    """What is added up over a field's parts."""

    def __init__(self, unit: float, marks: Sequence[float]) -> None:
        self.unit, self.marks = unit, marks
        self.points = self.masked = self.masked_changed = self.changed = 0
        self.low, self.high = math.inf, -math.inf
        self.squares = self.errors = self.block = self.relative = 0.0
        #: Sums of x, y, x², y², xy, less the first value, so that little is lost where the mean is large.
        self.moments = np.zeros(5)
        self.first: float | None = None

    def add(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        bits = np.dtype(f"u{x.itemsize}")
        valid = valid_points(x, self.marks)
        changed = np.ascontiguousarray(x).view(bits) != np.ascontiguousarray(y).view(bits)
        self.changed += int(changed.sum())
        self.masked += int(x.size - valid.sum())
        self.masked_changed += int((changed & ~valid).sum())
        if not valid.any():
            return
        self.points += int(valid.sum())
        values = x[valid].astype(np.float64)
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.relative = max(self.relative, _relative(x[valid], y[valid], changed[valid]))
        errors = np.where(valid, _differences(x, y), 0.0) / self.unit
        self.errors += float(errors.sum())
        squares = errors**2
        self.squares += float(squares.sum())
        for axis in range(3):
            squares = np.add.reduceat(squares, np.arange(0, squares.shape[axis], BLOCK), axis)
        self.block = max(self.block, float(np.sqrt(squares.max())))
        self.first = float(values[0]) if self.first is None else self.first
        with np.errstate(all="ignore"):
            a, b = values - self.first, y[valid].astype(np.float64) - self.first
            self.moments += [a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]

    def result(self, largest: float) -> Quality:
        n = max(self.points, 1)
        sx, sy, xx, yy, xy = self.moments
        with np.errstate(all="ignore"):
            pearson = (n * xy - sx * sy) / np.sqrt((n * xx - sx * sx) * (n * yy - sy * sy))
        return Quality(
            points=self.points,
            masked=self.masked,
            masked_changed=self.masked_changed,
            changed=self.changed,
            range=float(self.high - self.low) if self.points else 0.0,
            rmse=math.sqrt(self.squares / n) * self.unit,
            max_abs_error=largest,
            max_block_l2=self.block * self.unit,
            max_pw_rel=self.relative,
            mean_error=self.errors / n * self.unit,
            pearson=float(min(pearson, 1.0)) if np.isfinite(pearson) else math.nan,
        )
