"""Whether decoded values are good enough: `assess`, and what it finds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import field, marks, valid_points
from ._criteria import CRITERIA, Judgement
from ._extras import quality_extra
from ._quality import Quality, quality
from .codec import decompress
from .errors import InvalidArgument
from .info import inspect

with quality_extra():
    from . import _similarity
    from ._spectra import Spectrum, SpectrumSum, autocorrelation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._arrays import Stream

    Values = NDArray[np.float64]

#: Bins of the histogram of errors; odd, so that zero is the middle of one.
BINS = 101
#: Points that Kolmogorov's and Smirnov's test of the whole field takes at most, evenly spread, at 80 bytes each.
KS_POINTS = 1 << 20


@dataclass(frozen=True)
class FrameScores:
    """Scores of each frame, a plane of the last two axes; NaN where a frame has none."""

    dssim: Values
    """Data structural similarity of the climate community."""
    ssim: Values
    """Structural similarity as of images."""
    pearson: Values
    """Correlation; NaN for constant frames."""
    ks_statistic: Values
    """Largest distance of the two distributions, 0 to 1."""
    ks_p: Values
    """Probability of that distance for equal distributions."""
    relative_share: Values
    """Share of the points whose relative error is above 1e-4, 0 to 1."""
    rmse: Values
    """Root mean square error, in the field's units."""

    def __len__(self) -> int:
        return len(self.rmse)

    def worst(self, key: str, at_least: bool = True) -> tuple[float, int | None]:
        """The smallest (or largest) of a score, and its frame; NaN and None where no frame has one."""
        scores = getattr(self, key)
        if np.isnan(scores).all():
            return math.nan, None
        at = int(np.nanargmin(scores) if at_least else np.nanargmax(scores))
        return float(scores[at]), at


@dataclass(frozen=True)
class Zonal:
    """Means along longitude and all axes before latitude."""

    latitudes: Values
    original: Values
    decoded: Values
    global_means: tuple[float, float]
    """Means over all points, weighted by the cosine of the latitude: of the original, and decoded."""

    @property
    def largest_difference(self) -> float:
        """Between the means of a latitude, in the field's units."""
        difference = np.abs(self.decoded - self.original)
        return float(np.nanmax(difference, initial=0.0))


@dataclass(frozen=True)
class Assessment:
    """What `assess` found; all of it over the points with data."""

    errors: Quality
    """NRMSE, PSNR, largest error, and what else is counted."""
    lost: int
    """Points with data that are NaN or infinite in the decoded field; scores are of the others."""
    means: tuple[float, float]
    """Of the original, and decoded."""
    variances: tuple[float, float]
    max_relative_error: float
    """Largest |decoded − original| / |original| over points that are not zero."""
    ks: tuple[float, float]
    """Statistic and p-value of Kolmogorov and Smirnov over all frames, of a million evenly spread points at most."""
    scores: FrameScores
    spectrum: Spectrum
    autocorrelation: Mapping[int, Mapping[int, float]]
    """Of the error: by axis, by distance in points. Near 0 is noise."""
    histogram: tuple[NDArray[np.int64], Values]
    """Points by error, and the edges of the bins, in the field's units."""
    gradient_errors: tuple[float, ...]
    """Of derivatives along the last two axes: RMSE over the root mean square of the original's."""
    zonal: Zonal | None
    """Where latitudes were given."""

    @property
    def ssim(self) -> float:
        """Mean structural similarity of the frames; NaN where they are smaller than its windows."""
        return _mean(self.scores.ssim)

    @property
    def dssim(self) -> float:
        """The smallest DSSIM of a frame, as ldcpy has it of levels; NaN where frames are smaller than its windows."""
        return self.scores.worst("dssim")[0]

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What the criteria of the climate literature say."""
        return tuple(Judgement(one, *self.scores.worst(one.key, one.at_least)) for one in CRITERIA)

    @property
    def passes(self) -> bool:
        """Whether all of those criteria that apply hold, and nothing was lost."""
        return self.lost == 0 and self.errors.masked_changed == 0 and all(one.passes for one in self.judgements)

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        if self.lost or self.errors.masked_changed:
            changed = f"{self.lost} values were lost, {self.errors.masked_changed} points without data changed"
            return f"The decoded field is damaged: {changed}."
        failed = [one for one in self.judgements if not one.passes]
        applying = sum(one.applies for one in self.judgements)
        if not applying:
            return "None of the criteria applies to this field."
        if not failed:
            return f"All of the {applying} criteria that apply hold, in every frame."
        parts = [f"{one.criterion.text} ({one.value:.7g} in frame {one.frame})" for one in failed]
        return f"{len(failed)} of {applying} criteria do not hold: {'; '.join(parts)}."

    def as_dict(self) -> dict[str, Any]:
        """All numbers as what JSON has: lists, numbers, None for NaN and infinities."""
        own = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        derived = {"nrmse": self.errors.nrmse, "psnr": self.errors.psnr, "ssim": self.ssim, "dssim": self.dssim}
        judged = {
            one.criterion.key: {"threshold": one.criterion.threshold, "worst": one.value, "frame": one.frame,
                                "holds": one.passes}
            for one in self.judgements
        }  # fmt: skip
        plain: dict[str, Any] = _plain(own | derived | {"criteria": judged, "passes": self.passes})
        return plain


def assess(
    original: ArrayLike,
    decoded: ArrayLike | Stream,
    *,
    fill_value: float | Sequence[float] | None = None,
    latitudes: ArrayLike | None = None,
) -> Assessment:
    """Compares a field with its decoded values by what analyses of it depend on.

    Needs ``pip install 'fieldpress[quality]'`` (SciPy, scikit-image). Frames, the planes of the last two axes, are
    scored one by one. Takes about three seconds and 80 MB for a million values.

    Parameters
    ----------
    original
        A field of one to five axes.
    decoded
        Its decoded values, or a stream, which is decompressed, and whose sentinels are left out, too.
    fill_value
        The value, or values, that mark points without data; NaN and infinities always do.
    latitudes
        In degrees, one for each row (the last axis but one), for zonal means.

    Raises
    ------
    InvalidArgument
        For arrays of different shapes or types, or as many latitudes as there are no rows.
    CorruptError
        For a stream that cannot be decoded.

    Examples
    --------
    >>> found = fieldpress.assess(u, stream)
    >>> found.dssim, found.passes, found.verdict
    """
    masked = marks(fill_value)
    if isinstance(decoded, bytes | bytearray | memoryview):
        masked += inspect(decoded).masked
        decoded = decompress(decoded)
    fill = masked[0] if masked else None
    x, y = field(original, fill), field(decoded, fill)
    # Compares shapes and types, too.
    errors = quality(x, y, fill_value=masked)
    there = valid_points(x, masked)
    valid = there & np.isfinite(y)
    frames = _Frames(x, y, valid, errors.range, latitudes)
    return frames.result(errors, lost=int((there & ~valid).sum()))


class _Frames:
    """What is computed of a field and its decoded values, frame by frame."""

    def __init__(
        self, x: NDArray[Any], y: NDArray[Any], valid: NDArray[np.bool_], data_range: float, latitudes: ArrayLike | None
    ) -> None:
        self.shape = x.shape
        rows, columns = (1, *x.shape)[-2:]
        planes = (-1, rows, columns)
        # In units of the range, squares and their sums are float64 whatever the field's units are.
        self.unit = data_range if 0 < data_range < math.inf else 1.0
        self.x, self.y, self.valid = (a.reshape(planes) for a in (x, y, valid))
        self.range = data_range
        self.latitudes = None if latitudes is None else _checked(latitudes, rows, x.ndim)

    def result(self, errors: Quality, lost: int) -> Assessment:
        spectrum = SpectrumSum((self.x.shape[1], self.x.shape[2]))
        scores: dict[str, list[float]] = {one.name: [] for one in dataclasses.fields(FrameScores)}
        derivatives, relative = np.zeros((2, 2)), 0.0
        for x, y, valid in zip(self.x, self.y, self.valid, strict=True):
            a, b = x.astype(np.float64), y.astype(np.float64)
            for name, value in self._scores(a, b, valid).items():
                scores[name].append(value)
            first, second = (np.where(valid, v / self.unit, np.nan) for v in (a, b))
            spectrum.add(first, second, valid)
            derivatives += _derivatives(first, second)
            there = valid & (a != 0)
            relative = max(relative, float(np.max(_similarity.relative_errors(a[there], b[there]), initial=0.0)))
        x, y = (a[self.valid].astype(np.float64) for a in (self.x, self.y))
        every = max(1, math.ceil(x.size / KS_POINTS))
        return Assessment(
            errors=errors,
            lost=lost,
            means=(_mean(x), _mean(y)),
            variances=(self._variance(x), self._variance(y)),
            max_relative_error=relative,
            ks=_similarity.kolmogorov_smirnov(x[::every], y[::every]),
            scores=FrameScores(**{name: np.array(values) for name, values in scores.items()}),
            spectrum=spectrum.result(self.unit),
            autocorrelation=self._autocorrelation(),
            histogram=_histogram(y - x),
            gradient_errors=tuple(_ratio(error, size) for error, size in derivatives[2 - min(len(self.shape), 2) :]),
            zonal=self._zonal(),
        )

    def _scores(self, x: Values, y: Values, valid: NDArray[np.bool_]) -> dict[str, float]:
        a, b = x[valid], y[valid]
        statistic, p = _similarity.kolmogorov_smirnov(a, b)
        above = _similarity.relative_errors(a, b) > _similarity.RELATIVE
        squares = ((b - a) / self.unit) ** 2
        return {
            "dssim": _similarity.dssim(x, y, valid),
            "ssim": _similarity.ssim(x, y, valid, self.range),
            "pearson": _similarity.pearson(a, b),
            "ks_statistic": statistic,
            "ks_p": p,
            "relative_share": _mean(above),
            "rmse": math.sqrt(_mean(squares)) * self.unit if squares.size else math.nan,
        }

    def _variance(self, values: Values) -> float:
        return float((values / self.unit).var()) * self.unit**2 if values.size else math.nan

    def _autocorrelation(self) -> Mapping[int, Mapping[int, float]]:
        x, y, valid = (a.reshape(self.shape) for a in (self.x, self.y, self.valid))
        with np.errstate(invalid="ignore", over="ignore"):
            error = (y.astype(np.float64) - x.astype(np.float64)) / self.unit
        return autocorrelation(np.where(valid, error, 0.0), valid)

    def _zonal(self) -> Zonal | None:
        if self.latitudes is None:
            return None
        counts = self.valid.sum(axis=(0, 2)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            sums = [a.sum(axis=(0, 2), dtype=np.float64, where=self.valid) for a in (self.x, self.y)]
            means = [of / counts for of in sums]
        weights = np.cos(np.radians(self.latitudes))
        total = float((weights * counts).sum())
        first, second = (float((weights * of).sum()) / total if total else math.nan for of in sums)
        return Zonal(self.latitudes, means[0], means[1], (first, second))


def _checked(latitudes: ArrayLike, rows: int, ndim: int) -> Values:
    array = np.asarray(latitudes, np.float64)
    if array.shape != (rows,) or ndim < 2 or not (np.abs(array) <= 90.001).all():
        raise InvalidArgument(
            f"the latitudes have the shape {array.shape}; expected {rows} numbers from -90 to 90, one for each row"
        )
    return array


def _derivatives(x: Values, y: Values) -> Values:
    """Along rows and columns: the sums of squares of the error's derivative, and of the original's."""
    out = np.zeros((2, 2))
    for axis in range(2):
        if x.shape[axis] > 1:
            a, b = np.gradient(x, axis=axis), np.gradient(y, axis=axis)
            out[axis] = np.nansum((b - a) ** 2), np.nansum(a**2)
    return out


def _ratio(error: float, size: float) -> float:
    """The root of a quotient of squares."""
    return 0.0 if error == 0 else math.sqrt(error / size) if size else math.inf


def _histogram(errors: Values) -> tuple[NDArray[np.int64], Values]:
    largest = float(np.max(np.abs(errors), initial=0.0))
    limit = largest if 0 < largest < math.inf else 1.0
    counts, edges = np.histogram(errors, bins=BINS, range=(-limit, limit))
    return counts.astype(np.int64), edges


def _mean(values: NDArray[Any]) -> float:
    there = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(there.mean()) if there.size else math.nan


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(one) for one in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
