"""A page on a decoded field, for people: pictures, numbers, the thresholds of the climate literature, a verdict."""

from __future__ import annotations

import base64
import html
import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import field, marks, valid_points
from ._assess import Assessment, assess
from ._charts import Grid, autocorrelation, curves, histogram, maps, scores, spectra, zonal
from ._criteria import Judgement
from .codec import decompress
from .info import Bound, StreamInfo, inspect

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

    from ._arrays import Stream

_STYLE = """
body{font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color:#1b1b1b;background:#fff;margin:2rem auto;
max-width:72rem;padding:0 1.2rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.12rem;margin:2.2rem 0 .6rem;border-bottom:1px solid #ddd}
.verdict{padding:.7rem 1rem;border-left:.4rem solid;margin:1.2rem 0;font-size:1.05rem}
.good{border-color:#2e7d32;background:#eef6ee}.bad{border-color:#b3261e;background:#fbeeed}
table{border-collapse:collapse;margin:.4rem 0}th{text-align:left;font-weight:600}
td,th{padding:.22rem .9rem .22rem 0;border-bottom:1px solid #eee;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.no{color:#b3261e;font-weight:600}.yes{color:#2e7d32;font-weight:600}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(28rem,1fr));gap:0 2rem;align-items:start}
figure{margin:.8rem 0}figure img{max-width:100%;height:auto}
figcaption,.small{font-size:.86rem;color:#555}
"""


@dataclass(frozen=True)
class About:
    """What is known of a field and its stream beside the values."""

    title: str = "field"
    bound: Bound | None = None
    bound_holds: bool | None = None
    bound_range: float | None = None
    """The range that a relative bound refers to; without it the original's."""
    input_bytes: int | None = None
    stream_bytes: int | None = None

    @staticmethod
    def of(info: StreamInfo, title: str) -> About:
        """What a stream says."""
        return About(title, info.bound, None, info.range, info.input_bytes, info.stream_bytes)

    def limit(self, found: Assessment) -> float | None:
        """The largest error that the bound allows a point, where it bounds points."""
        if self.bound is None or self.bound.kind not in ("abs", "rel"):
            return None
        data_range = found.errors.range if self.bound_range is None else self.bound_range
        return self.bound.value * (data_range if self.bound.kind == "rel" else 1.0)


def report(
    original: ArrayLike,
    decoded: ArrayLike | Stream,
    path: str | PathLike[str],
    *,
    title: str = "field",
    units: str = "",
    dims: Sequence[str] = (),
    latitudes: ArrayLike | None = None,
    longitudes: ArrayLike | None = None,
    fill_value: float | Sequence[float] | None = None,
) -> Assessment:
    """Writes a page on a decoded field: one HTML file with all pictures inside.

    Needs ``pip install 'fieldpress[quality]'``.

    Parameters
    ----------
    original, decoded, latitudes, fill_value
        As `assess` takes them.
    path
        The file to write, which appears under its name when it is whole.
    title, units, dims
        What the field is called, its units, and names of its axes.
    longitudes
        In degrees, one for each column.

    Returns
    -------
    Assessment
        What the page shows.
    """
    masked, about = marks(fill_value), About(title)
    if isinstance(decoded, bytes | bytearray | memoryview):
        info = inspect(decoded)
        about, masked = About.of(info, title), masked + info.masked
        decoded = decompress(decoded)
    grid = Grid(units, _degrees(latitudes), _degrees(longitudes), tuple(dims))
    return write_page(original, decoded, path, about, grid, masked)


def _degrees(values: ArrayLike | None) -> NDArray[np.float64] | None:
    return None if values is None else np.asarray(values, np.float64)


def write_page(
    original: ArrayLike,
    decoded: ArrayLike,
    path: str | PathLike[str],
    about: About,
    grid: Grid,
    masked: Sequence[float],
) -> Assessment:
    """Writes the page; the values in ``masked`` mark points without data."""
    found = assess(original, decoded, fill_value=masked, latitudes=grid.latitudes)
    fill = masked[0] if masked else None
    text = _page(found, _pictures(found, field(original, fill), field(decoded, fill), masked, about, grid), about, grid)
    place = Path(path)
    handle, name = tempfile.mkstemp(prefix=".fieldpress-", dir=place.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # As any new file has it, less the umask, which only setting it tells.
        os.umask(mask := os.umask(0))
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return found


def _shown_frame(found: Assessment) -> int:
    """The frame that looks worst."""
    frame = found.scores.worst("dssim")[1]
    if frame is None:
        frame = found.scores.worst("rmse", at_least=False)[1]
    return frame or 0


def _pictures(
    found: Assessment,
    x: NDArray[Any],
    y: NDArray[Any],
    masked: Sequence[float],
    about: About,
    grid: Grid,
) -> dict[str, str]:
    """Figures of the page by name, as HTML."""
    planes = (-1, *(1, *x.shape)[-2:])
    number = _shown_frame(found)
    first, second = (a.reshape(planes)[number].astype(np.float64) for a in (x, y))
    valid = valid_points(x.reshape(planes)[number], masked) & np.isfinite(second)
    exact = found.errors.max_abs_error == 0
    which = f"frame {number}" + ("" if exact else ", the worst") if len(found.scores) > 1 else "the field"
    limit = about.limit(found)
    is_curve = 1 in first.shape
    out = {
        "field": _figure(
            (curves if is_curve else maps)(first, second, valid, grid),
            f"Original, decoded values and error of {which}."
            + (" Grey: no data, or too near the border to be compared." if not is_curve else ""),
        ),
        "histogram": _figure(histogram(found, grid, limit), "How large errors are."),
        "spectra": _figure(
            spectra(found, grid),
            "Power by wavenumber, mean of all frames. The band is what cosmologists allow (Jin et al. 2020, "
            "arXiv:2004.00224), for orientation.",
        ),
        "autocorrelation": _figure(
            autocorrelation(found, grid), "Errors near 0 are as noise; far from it they have structure of their own."
        ),
    }
    if len(found.scores) > 1 and any(one.applies for one in found.judgements):
        out["scores"] = _figure(scores(found), "Scores of each frame; red dots do not satisfy the criterion.")
    if found.zonal is not None:
        out["zonal"] = _figure(zonal(found, grid), "Means along longitude, and over all frames.")
    return out


def _figure(svg: str, caption: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/svg+xml;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _page(found: Assessment, pictures: dict[str, str], about: About, grid: Grid) -> str:
    title = html.escape(about.title)
    good = found.passes and about.bound_holds is not False
    beside = "".join(pictures[name] for name in ("histogram", "autocorrelation"))
    sections = [
        f"<h1>{title}</h1>",
        _stream_line(about),
        f'<div class="verdict {"good" if good else "bad"}">{html.escape(_verdict(found, about))}</div>',
        "<h2>Criteria of the climate literature</h2>",
        _criteria_table(found.judgements),
        "<h2>Field</h2>",
        pictures["field"],
        "<h2>Numbers</h2>",
        f'<div class="beside"><div>{_numbers(found, grid)}</div><div>{pictures["spectra"]}</div></div>',
        "<h2>Errors</h2>",
        f'<div class="beside">{beside}</div>',
    ]
    if "scores" in pictures:
        sections += ["<h2>Frame by frame</h2>", pictures["scores"]]
    if "zonal" in pictures:
        sections += ["<h2>Zonal means</h2>", pictures["zonal"]]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}: quality</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def _verdict(found: Assessment, about: About) -> str:
    """What the reader wants to know first."""
    if about.bound is None or about.bound_holds is None:
        return found.verdict
    holds = f"The bound {about.bound} {'holds' if about.bound_holds else 'DOES NOT hold'}. "
    return holds + found.verdict


def _stream_line(about: About) -> str:
    parts = []
    if about.bound is not None:
        parts.append(f"bound {about.bound}")
    if about.input_bytes and about.stream_bytes:
        ratio = about.input_bytes / about.stream_bytes
        parts.append(f"{about.input_bytes:,} bytes in {about.stream_bytes:,}: ratio {ratio:.2f}".replace(",", " "))
    return f'<p class="small">{html.escape(" · ".join(parts))}</p>' if parts else ""


def _criteria_table(judgements: Iterable[Judgement]) -> str:
    rows, sources = [], []
    for one in judgements:
        source = one.criterion.source
        if source not in sources:
            sources.append(source)
        outcome = ("yes" if one.passes else "NO") if one.applies else "does not apply"
        kind = {"yes": "yes", "NO": "no"}.get(outcome, "")
        value = f"{one.value:.7g}" if one.applies else "–"
        frame = "–" if one.frame is None else str(one.frame)
        rows.append(
            f'<tr><td>{html.escape(one.criterion.text)}</td><td class="n">{value}</td><td class="n">{frame}</td>'
            f'<td class="{kind}">{outcome}</td><td>[{sources.index(source) + 1}]</td></tr>'
        )
    notes = "".join(f"<br>[{k}] {html.escape(text)}." for k, text in enumerate(sources, 1))
    return (
        '<table><tr><th>criterion</th><th class="n">worst frame</th><th class="n">its number</th><th>holds</th>'
        f'<th>source</th></tr>{"".join(rows)}</table><p class="small">Frames are the planes of the last two axes; each '
        f"is judged by itself, as a time and level of a climate model is, and the worst counts.{notes}</p>"
    )


def _numbers(found: Assessment, grid: Grid) -> str:
    """The table of numbers."""
    errors, (mean, decoded_mean), (variance, decoded_variance) = found.errors, found.means, found.variances
    unit = f" {grid.units}" if grid.units else ""
    gradient = ", ".join(f"{value:.3e}" for value in found.gradient_errors)
    rows = [
        ("points with data, without", f"{errors.points:,}, {errors.masked:,}".replace(",", " ").replace("  ", ", ")),
        ("range", f"{errors.range:.6g}{unit}"),
        ("NRMSE", f"{errors.nrmse:.4e}"),
        ("PSNR", f"{errors.psnr:.2f} dB" if math.isfinite(errors.psnr) else "no error"),
        ("largest error", f"{errors.max_abs_error:.4e}{unit}"),
        ("largest error over the range", f"{errors.max_abs_error / errors.range:.4e}" if errors.range else "–"),
        ("largest relative error", f"{found.max_relative_error:.4e}"),
        ("mean", f"{mean:.8g}{unit}"),
        ("mean, decoded − original", f"{decoded_mean - mean:.3e}{unit}"),
        ("variance, decoded / original", f"{decoded_variance / variance:.9f}" if variance else "–"),
        ("Pearson correlation", _score(errors.pearson)),
        ("Kolmogorov–Smirnov statistic, p", f"{found.ks[0]:.3e}, {found.ks[1]:.3g}"),
        ("SSIM, mean of frames", _score(found.ssim)),
        ("DSSIM, worst frame", _score(found.dssim)),
        ("spectrum, largest deviation", f"{100 * found.spectrum.deviation():.3g} %"),
        ("error of derivatives (rows, columns)" if len(found.gradient_errors) > 1 else "error of derivative", gradient),
    ]
    if found.zonal is not None:
        weighted = found.zonal.global_means
        rows += [
            ("mean weighted by area", f"{weighted[0]:.8g}{unit}"),
            ("the same, decoded − original", f"{weighted[1] - weighted[0]:.3e}{unit}"),
            ("zonal means, largest difference", f"{found.zonal.largest_difference:.3e}{unit}"),
        ]
    cells = (f'<tr><td>{html.escape(name)}</td><td class="n">{html.escape(value)}</td></tr>' for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def _score(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.7f}"
