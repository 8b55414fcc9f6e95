"""The loosest bound with which a field still is what an analysis needs: `suggest`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._arrays import field, marks, valid_points
from ._extras import quality_extra
from ._search import Line, furthest
from ._settings import Options, keywords
from .codec import Codec
from .errors import InvalidArgument
from .info import Bound, Report, inspect

with quality_extra():
    from . import _similarity
    from ._spectra import SpectrumSum

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    Kind = Literal["nrmse", "rel", "abs"]

#: Values of a sample, about; more where a frame has more.
SAMPLE = 1 << 21
#: Runs of frames that a sample consists of, spread over the field, and frames of a run.
RUNS, RUN_FRAMES = 3, 8
#: Bounds that are tried, over the range of the field.
TIGHTEST, LOOSEST, FIRST = 1e-8, 0.1, 1e-3
#: What misses of a score grows about with the square of the error.
SLOPE = 2.0
#: Trials on samples, and on the whole field.
SAMPLE_TRIALS, WHOLE_TRIALS = 9, 5


@dataclass(frozen=True)
class Target:
    """What a score has to be."""

    score: str
    """dssim, ssim, pearson or spectrum."""
    value: float
    up_to: int | None = None
    """The wavenumber up to which the spectrum counts."""

    def __str__(self) -> str:
        return f"{self.score}={self.value:g}" + (f"@k{self.up_to}" if self.up_to is not None else "")

    @staticmethod
    def parse(text: str) -> Target:
        """A target of the form ``dssim=0.9995`` or ``spectrum=0.01@k50``.

        Raises
        ------
        InvalidArgument
            For another form.
        """
        score, _, rest = text.partition("=")
        value, at, up_to = rest.partition("@k")
        try:
            return Target(score, float(value), int(up_to) if at else None).checked()
        except ValueError as error:
            if isinstance(error, InvalidArgument):
                raise
            raise InvalidArgument(
                f"the target '{text}' is not of the form ssim=0.999, dssim=0.9995, pearson=0.99999 or spectrum=0.01@k50"
            ) from error

    def checked(self) -> Target:
        """Itself.

        Raises
        ------
        InvalidArgument
            For a score or value that makes no sense.
        """
        if self.score not in ("dssim", "ssim", "pearson", "spectrum"):
            raise InvalidArgument(f"'{self.score}' is no target; expected dssim, ssim, pearson or spectrum")
        if not 0 < self.value < 1:
            raise InvalidArgument(f"{self}: expected a number between 0 and 1")
        if self.up_to is not None and (self.score != "spectrum" or self.up_to < 1):
            raise InvalidArgument(f"{self}: wavenumbers from 1 on go with spectrum alone")
        return self

    def holds(self, score: float) -> bool:
        """Whether a score is good enough."""
        return score <= self.value if self.score == "spectrum" else score >= self.value

    def excess(self, score: float) -> float:
        """The logarithm of what a score misses, over what it may."""
        missing, allowed = (score, self.value) if self.score == "spectrum" else (1 - score, 1 - self.value)
        # Scores as 1 - 1e-17 are rounded.
        return math.log(missing / allowed) if missing > 1e-15 else -math.inf


@dataclass(frozen=True)
class Suggestion:
    """A bound, and what it was found to give on the whole field."""

    bound: Bound
    """nrmse, rel or abs; lossless where nothing looser reaches the target."""
    scores: dict[str, float]
    """By target, as ``dssim=0.9995``, the score of the whole field."""
    report: Report
    """What compressing the field under that bound gave."""
    stream: bytes = dataclass_field(repr=False)
    """The field's stream under that bound."""
    tried: tuple[tuple[Bound, dict[str, float]], ...] = dataclass_field(repr=False)
    """Every bound that was tried on the whole field, and its scores."""

    @property
    def ratio(self) -> float:
        """Bytes of the field for each byte of its stream."""
        return self.report.ratio


@keywords(Options)
def suggest(
    array: ArrayLike,
    *,
    dssim: float | None = None,
    ssim: float | None = None,
    pearson: float | None = None,
    spectrum: float | tuple[float, int] | None = None,
    kind: Kind = "nrmse",
    **options: Unpack[Options],
) -> Suggestion:
    """The loosest bound under which a field reaches a target, or several.

    Searched on samples (runs of whole frames), then verified, and tightened where that is needed, on the whole field.
    Needs ``pip install 'fieldpress[quality]'``.

    Parameters
    ----------
    array
        As `fieldpress.compress` takes it. Frames are the planes of the last two axes.
    dssim, pearson
        What the data structural similarity, or the correlation, of the worst frame has to be at least. The climate
        literature has 0.9995 and 0.99999.
    ssim
        What the structural similarity, as the mean of all frames, has to be at least.
    spectrum
        What power spectra may deviate by, over the original's: 0.01; with a wavenumber up to which that counts, in
        cycles over the longer side of a frame: (0.01, 50).
    kind
        What bound is suggested.
    **options
        Of `fieldpress.Options`, as the field will be compressed.

    Raises
    ------
    InvalidArgument
        Without a target, for one that makes no sense, or a field that has no such score.

    Examples
    --------
    >>> found = fieldpress.suggest(u, dssim=0.9995)
    >>> print(found.bound, found.ratio)
    >>> stream = fieldpress.compress(u, **{found.bound.kind: found.bound.value})  # or found.stream
    """
    targets = [Target(name, value).checked() for name, value in
               (("dssim", dssim), ("ssim", ssim), ("pearson", pearson)) if value is not None]  # fmt: skip
    if spectrum is not None:
        value, up_to = spectrum if isinstance(spectrum, tuple) else (spectrum, None)
        targets.append(Target("spectrum", value, up_to).checked())
    return suggest_for(array, targets, kind, options)


def suggest_for(array: ArrayLike, targets: Sequence[Target], kind: Kind, options: Options) -> Suggestion:
    """As `suggest`, for targets in a list."""
    if not targets:
        raise InvalidArgument("no target is given; expected dssim=, ssim=, pearson= or spectrum=")
    if kind not in ("nrmse", "rel", "abs"):
        raise InvalidArgument(f"kind={kind!r} is not known; expected 'nrmse', 'rel' or 'abs'")
    search = _Search(field(array, options.get("fill_value")), targets, kind, options)
    return search.result()


class _Search:
    """A search for one field's bound, in logarithms of the bound over the range."""

    def __init__(self, x: NDArray[Any], targets: Sequence[Target], kind: Kind, options: Options) -> None:
        other: Any = options
        self.x, self.targets, self.kind = x, targets, kind
        self.plain = Codec(**options)
        # Any stream says which values mark points without data.
        quick = Codec(**{**other, "effort": 0}).compress(x, nrmse=FIRST)
        self.masked = (*marks(options.get("fill_value")), *inspect(quick).masked)
        valid = valid_points(x, self.masked)
        values = x[valid]
        own = float(values.max() - values.min()) if values.size else 0.0
        self.range = float(options.get("range") or own)
        # Samples have less of a range than the field, whose bound theirs is.
        self.ranged = Codec(**{**other, "range": self.range}) if self.range > 0 else self.plain
        self.tried: list[tuple[Bound, dict[str, float]]] = []

    def result(self) -> Suggestion:
        # Says whether the field has these scores at all.
        exact = self._scores(self.x, self.x)
        if self.range > 0:
            found = self._search()
            if found is not None:
                return found
        stream, report = self.plain.compress_with_report(self.x, lossless=True)
        return Suggestion(Bound("lossless", 0.0), exact, report, stream, tuple(self.tried))

    def _search(self) -> Suggestion | None:
        low, high = math.log(TIGHTEST), math.log(LOOSEST)
        samples = list(_samples(self.x))
        line = Line(low, high, SLOPE, close=0.15, narrow=0.03, trials=SAMPLE_TRIALS)
        start, trials = math.log(FIRST), SAMPLE_TRIALS
        if sum(one.size for one in samples) < self.x.size:
            trials = WHOLE_TRIALS
            at = furthest(lambda at: max(self._sample_excess(one, at) for one in samples), start, line)
            start = low if at is None else at
        best: tuple[float, Suggestion] | None = None

        def whole(at: float) -> float:
            nonlocal best
            value = _rounded(math.exp(at))
            stream, report = self._compressed(self.plain, self.x, value)
            scores = self._scores(self.x, self.plain.decompress(stream))
            self.tried.append((self._bound(value), scores))
            if all(t.holds(scores[str(t)]) for t in self.targets) and (best is None or value > best[0]):
                best = value, Suggestion(self._bound(value), scores, report, stream, ())
            return self._excess(scores)

        furthest(whole, start, Line(low, high, SLOPE, close=0.15, narrow=0.05, trials=trials))
        if best is None:
            return None
        found = best[1]
        return Suggestion(found.bound, found.scores, found.report, found.stream, tuple(self.tried))

    def _bound(self, value: float) -> Bound:
        return Bound(self.kind, value * self.range if self.kind == "abs" else value)

    def _compressed(self, codec: Codec, x: NDArray[Any], value: float) -> tuple[bytes, Report]:
        bound = self._bound(value)
        keyword: Any = {bound.kind: bound.value}
        return codec.compress_with_report(x, **keyword)

    def _sample_excess(self, x: NDArray[Any], at: float) -> float:
        stream, _ = self._compressed(self.ranged, x, math.exp(at))
        return self._excess(self._scores(x, self.ranged.decompress(stream), is_sample=True))

    def _excess(self, scores: dict[str, float]) -> float:
        return max((t.excess(scores[str(t)]) for t in self.targets if str(t) in scores), default=-math.inf)

    def _scores(self, x: NDArray[Any], y: NDArray[Any], is_sample: bool = False) -> dict[str, float]:
        """The targets' scores; a sample may lack some.

        Raises
        ------
        InvalidArgument
            Where a whole field has no such score.
        """
        out = {}
        for target in self.targets:
            score = self._score(target, x, y)
            if not math.isnan(score):
                out[str(target)] = score
            elif not is_sample:
                raise InvalidArgument(f"{target.score} does not apply: {_why_not(target, x.shape)}")
        return out

    def _score(self, target: Target, x: NDArray[Any], y: NDArray[Any]) -> float:
        planes = (-1, *(1, *x.shape)[-2:])
        frames = zip(x.reshape(planes), y.reshape(planes), strict=True)
        if target.score == "spectrum":
            of = SpectrumSum((planes[1], planes[2]))
            unit = self.range or 1.0
            for a, b in frames:
                of.add(a.astype(np.float64) / unit, b.astype(np.float64) / unit, valid_points(a, self.masked))
            return of.result(1.0).deviation(target.up_to)
        scores = np.array([self._frame_score(target.score, a, b) for a, b in frames])
        if np.isnan(scores).all():
            return math.nan
        return float(np.nanmean(scores) if target.score == "ssim" else np.nanmin(scores))

    def _frame_score(self, score: str, a: NDArray[Any], b: NDArray[Any]) -> float:
        valid = valid_points(a, self.masked)
        x, y = a.astype(np.float64), b.astype(np.float64)
        if score == "dssim":
            return _similarity.dssim(x, y, valid)
        if score == "ssim":
            return _similarity.ssim(x, y, valid, self.range)
        first, second = x[valid], y[valid]
        if first.size > 1 and np.ptp(first) > 0 and np.ptp(second) == 0:
            # All that it held is gone.
            return 0.0
        return _similarity.pearson(first, second)


def _samples(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Runs of frames along the first axis that together have about as many values as a sample."""
    if x.ndim < 3 or x.size <= SAMPLE:
        yield x
        return
    each = x[0].size
    frames = max(1, min(RUN_FRAMES, SAMPLE // (RUNS * each)))
    if frames * RUNS >= x.shape[0]:
        yield x
        return
    for start in np.linspace(0, x.shape[0] - frames, RUNS).round().astype(int):
        yield x[start : start + frames]


def _rounded(value: float) -> float:
    """A bound of two digits, not looser."""
    exponent = math.floor(math.log10(value))
    # What is rounded already stays.
    digits = math.floor(value / 10.0 ** (exponent - 1) * (1 + 1e-9))
    return float(f"{digits}e{exponent - 1}")


def _why_not(target: Target, shape: tuple[int, ...]) -> str:
    rows, columns = (1, *shape)[-2:]
    if target.score in ("dssim", "ssim") and not _similarity.has_windows((rows, columns)):
        return f"frames of {rows}x{columns} points hold no window of 11x11"
    return "no frame has two values that differ" if target.score == "pearson" else "no window of a frame is whole"
