"""Charts of an assessment, each an SVG picture as text."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._criteria import CRITERIA
from ._extras import quality_extra

with quality_extra():
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from skimage.measure import block_reduce

    from . import _similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ._assess import Assessment

    Values = NDArray[np.float64]

ORIGINAL, DECODED, ERROR, LIMIT = "#1f5fa8", "#e07b00", "#444444", "#b3261e"
#: Points along a side of a map, at most; more are summed up.
MOST = 720
#: Relative deviation of a spectrum that cosmologists allow (Jin et al. 2020, arXiv:2004.00224).
SPECTRUM_BAND = 0.01
_STYLE: Any = {
    "font.size": 9.5, "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3", "grid.linewidth": 0.6,
    "legend.frameon": False, "svg.hashsalt": "fieldpress", "lines.linewidth": 1.4, "axes.axisbelow": True,
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Where the points of a frame lie, and what its values are."""

    units: str = ""
    latitudes: Values | None = None
    """Of the rows, in degrees."""
    longitudes: Values | None = None
    """Of the columns, in degrees."""
    axes: tuple[str, ...] = ()
    """Names of the field's axes."""

    def label(self, of: str) -> str:
        """A quantity with its units."""
        return f"{of} ({self.units})" if self.units else of

    def axis(self, number: int) -> str:
        """What an axis is called."""
        return self.axes[number] if number < len(self.axes) else f"axis {number}"


def _drawn(size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """A figure of some inches as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def maps(x: Values, y: Values, valid: NDArray[np.bool_], grid: Grid) -> str:
    """A frame and its decoded values, their difference, and where they resemble each other."""
    first, second = (np.where(valid, v, np.nan) for v in (x, y))
    error = second - first
    similarity = _similarity.dssim_map(x, y, valid)
    low, high = (float(f(first)) if valid.any() else 0.0 for f in (np.nanmin, np.nanmax))
    largest = float(np.nanmax(np.abs(error), initial=0.0)) or 1.0
    least = float(np.nanmin(similarity, initial=1.0))
    panels: list[tuple[str, Values, Any, dict[str, Any]]] = [
        (grid.label("original"), first, np.nanmean, {"cmap": "viridis", "vmin": low, "vmax": high}),
        (grid.label("decoded"), second, np.nanmean, {"cmap": "viridis", "vmin": low, "vmax": high}),
        (grid.label("decoded − original"), error, _extreme, {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}),
    ]
    if np.isfinite(similarity).any():
        limits = {"cmap": "magma", "vmin": min(least, 1 - 1e-6), "vmax": 1.0}
        panels.append(("local DSSIM", similarity, np.nanmin, limits))
    height = min(max(_aspect(grid, x.shape), 0.25), 1.6) * 4.5 + 0.75

    def draw(figure: Figure) -> None:
        for axes, (title, values, summary, limits) in zip(figure.subplots(2, 2).flat, panels, strict=False):
            _map(figure, axes, values, grid, summary, limits)
            axes.set_title(title)
        for axes in figure.axes[len(panels) : 4]:
            axes.axis("off")

    return _drawn((11, 2 * height), draw)


def _aspect(grid: Grid, shape: tuple[int, ...]) -> float:
    """Height over width of a frame as it is drawn: in degrees, or in points."""
    up, across = (
        float(n if degrees is None else np.ptp(degrees) or n)
        for n, degrees in zip(shape, (grid.latitudes, grid.longitudes), strict=True)
    )
    return up / across


def _map(figure: Figure, axes: Axes, values: Values, grid: Grid, summary: Any, limits: dict[str, Any]) -> None:
    axes.grid(False)
    axes.set_facecolor("#c8c8c8")
    across = np.arange(values.shape[1]) if grid.longitudes is None else grid.longitudes
    up = np.arange(values.shape[0]) if grid.latitudes is None else grid.latitudes
    step = tuple(math.ceil(n / MOST) for n in values.shape)
    # Places of the cells that several points became.
    places = [_reduced(v.astype(np.float64), (n,), np.nanmean) for v, n in zip((up, across), step, strict=True)]
    with np.errstate(invalid="ignore"):
        cells = _reduced(values, step, _quiet(summary))
    image = axes.pcolormesh(places[1], places[0], cells, shading="nearest", rasterized=True, **limits)
    axes.set_aspect("equal" if 0.25 <= _aspect(grid, values.shape) <= 1.6 else "auto", adjustable="box")
    rows, columns = grid.axes[-2:] if len(grid.axes) > 1 else ("row", "column")
    axes.set_xlabel("longitude" if grid.longitudes is not None else columns)
    axes.set_ylabel("latitude" if grid.latitudes is not None else rows)
    figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, aspect=28)


def _reduced(values: Values, step: tuple[int, ...], summary: Any) -> Values:
    """A summary of each block of ``step`` points."""
    reduced: Values = block_reduce(values, step, summary, np.nan)  # type: ignore[no-untyped-call]
    return reduced


def _quiet(summary: Any) -> Any:
    """A summary of blocks that are perhaps all NaN, of which NumPy would warn."""

    def of(values: Values, axis: Any) -> Any:
        empty = np.isnan(values).all(axis=axis)
        filled = np.where(np.expand_dims(empty, axis), 0.0, values)
        return np.where(empty, np.nan, summary(filled, axis=axis))

    return of


def _extreme(values: Values, axis: Any) -> Any:
    """What is farthest from zero: errors must not average away where a cell is of several points."""
    low, high = np.nanmin(values, axis=axis), np.nanmax(values, axis=axis)
    return np.where(-low > high, low, high)


def curves(x: Values, y: Values, valid: NDArray[np.bool_], grid: Grid) -> str:
    """A field of one axis, its decoded values, and their difference."""
    first, second = (np.where(valid, v, np.nan).ravel() for v in (x, y))

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        upper.plot(first, color=ORIGINAL, label="original")
        upper.plot(second, color=DECODED, label="decoded", linewidth=0.8)
        upper.set_ylabel(grid.label("value"))
        upper.legend(loc="upper right", ncols=2)
        lower.plot(second - first, color=ERROR, linewidth=0.8)
        lower.set_ylabel(grid.label("decoded − original"))
        lower.set_xlabel(grid.axis(0) if grid.axes else "index")

    return _drawn((11, 5), draw)


def histogram(found: Assessment, grid: Grid, limit: float | None) -> str:
    """Points by error; ``limit`` is the largest that the bound allows."""
    counts, edges = found.histogram

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=ERROR, alpha=0.75)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        for sign in (-1, 1) if limit is not None else ():
            axes.axvline(sign * (limit or 0), color=LIMIT, linestyle="--", label="bound" if sign == 1 else None)
        if limit is not None:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
        axes.set_xlabel(grid.label("decoded − original"))
        axes.set_ylabel("points")

    return _drawn((5.4, 3.6), draw)


def spectra(found: Assessment, grid: Grid) -> str:
    """Mean power of original, decoded field and error by wavenumber, and the quotient of the first two."""
    of = found.spectrum

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        upper.plot(of.wavenumber, _positive(of.original), color=ORIGINAL, label="original", linewidth=2.4, alpha=0.7)
        upper.plot(of.wavenumber, _positive(of.decoded), color=DECODED, label="decoded", linestyle="--")
        upper.plot(of.wavenumber, _positive(of.error), color=ERROR, label="error", linestyle=":")
        upper.set_yscale("log")
        upper.set_xscale("log")
        upper.set_ylabel("mean power" + (f" (({grid.units})²)" if grid.units else ""))
        upper.legend()
        ratio = of.ratio()
        lower.plot(of.wavenumber, ratio, color=DECODED)
        lower.axhspan(1 - SPECTRUM_BAND, 1 + SPECTRUM_BAND, color=LIMIT, alpha=0.12, linewidth=0)
        lower.text(of.wavenumber[0], 1 + SPECTRUM_BAND, " 1 ± 0.01", color=LIMIT, fontsize=8, va="bottom")
        reach = max(2.5 * SPECTRUM_BAND, min(1.05 * float(np.max(np.abs(ratio - 1), initial=0.0)), 1.0))
        lower.set_ylim(1 - reach, 1 + reach)
        lower.set_ylabel("decoded / original")
        lower.set_xlabel("wavenumber (cycles over a frame's longer side)")

    return _drawn((5.4, 5.2), draw)


def _positive(values: Values) -> Values:
    """Power that has a logarithm."""
    return np.where(values > 0, values, np.nan)


def autocorrelation(found: Assessment, grid: Grid) -> str:
    """The error's correlation with itself by distance, along each axis."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=ERROR, linewidth=0.8)
        for (axis, of), marker in zip(found.autocorrelation.items(), "osd^v", strict=False):
            axes.plot(list(of), list(of.values()), marker=marker, markersize=4, label=f"along {grid.axis(axis)}")
        axes.set_ylim(-1.02, 1.02)
        axes.set_xlabel("distance (points)")
        axes.set_ylabel("correlation of the error")
        if found.autocorrelation:
            axes.legend()
        else:
            axes.text(0.5, 0.6, "no error", transform=axes.transAxes, ha="center")

    return _drawn((5.4, 3.6), draw)


def scores(found: Assessment) -> str:
    """The criteria's scores frame by frame, and their thresholds."""
    shown = [one for one in CRITERIA if np.isfinite(getattr(found.scores, one.key)).any()]
    number = np.arange(len(found.scores))

    def draw(figure: Figure) -> None:
        for axes, one in zip(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0], shown, strict=True):
            values, threshold = getattr(found.scores, one.key), one.threshold
            name = one.name
            near_one = one.at_least and threshold > 0.9
            if near_one:
                # What is missing to 1 tells more than 0.9999….
                values, threshold, name = np.maximum(1 - values, 1e-9), 1 - threshold, f"1 − {one.name}"
                axes.set_yscale("log")
            bad = values > threshold if near_one or not one.at_least else values < threshold
            axes.plot(number, values, color=ORIGINAL, marker="o", markersize=2.5, linewidth=0.8)
            axes.plot(number[bad], values[bad], color=LIMIT, marker="o", markersize=4, linestyle="none")
            axes.axhline(threshold, color=LIMIT, linestyle="--", linewidth=1)
            side = "≥" if one.at_least and not near_one else "≤"
            axes.set_title(f"{name}  (dashed: {side} {threshold:.2g})", loc="left", fontweight="normal", fontsize=9.5)
        figure.axes[-1].set_xlabel("frame")

    return _drawn((11, 1.5 * max(len(shown), 1) + 0.5), draw)


def zonal(found: Assessment, grid: Grid) -> str:
    """Zonal means and their differences."""
    of = found.zonal
    assert of is not None

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        left.plot(of.original, of.latitudes, color=ORIGINAL, label="original", linewidth=2.4, alpha=0.7)
        left.plot(of.decoded, of.latitudes, color=DECODED, label="decoded", linestyle="--")
        left.set_xlabel(grid.label("zonal mean"))
        left.set_ylabel("latitude")
        left.legend()
        right.plot(of.decoded - of.original, of.latitudes, color=ERROR)
        right.axvline(0, color=ERROR, linewidth=0.6)
        right.set_xlabel(grid.label("decoded − original"))

    return _drawn((11, 4), draw)
