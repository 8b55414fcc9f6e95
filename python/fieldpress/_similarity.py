"""Scores of one frame (rows × columns) against its decoded values, over the points with data.

The frames are float64; ``valid`` says where there is data in both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, stats
from skimage.metrics import structural_similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frame = NDArray[np.float64]
    Mask = NDArray[np.bool_]

#: Standard deviation of the Gaussian window of SSIM and DSSIM, in points (Wang et al. 2004).
SIGMA = 1.5
#: Half of that window's side less one: it has 11 × 11 points.
RADIUS = 5
#: Values that DSSIM quantises a frame to.
LEVELS = 255
#: What DSSIM adds to numerators and denominators.
EPSILON = 1e-8
#: The relative error above which a point counts in the spatial relative error (Baker et al. 2017).
RELATIVE = 1e-4


def has_windows(shape: tuple[int, ...]) -> bool:
    """Whether a frame holds a window of SSIM's."""
    return len(shape) == 2 and min(shape) > 2 * RADIUS


def dssim(x: Frame, y: Frame, valid: Mask) -> float:
    """The data structural similarity index of two frames: the mean of `dssim_map` over the points with data.

    NaN for frames smaller than a window, and without data.
    """
    scores = dssim_map(x, y, valid)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else math.nan


def dssim_map(x: Frame, y: Frame, valid: Mask) -> Frame:
    """The data structural similarity of two frames at each point: 1 where they look the same.

    Both are scaled to 0 … 1 by their common extremes, rounded to multiples of 1/255, and compared as SSIM does in
    Gaussian windows of 11 × 11 points with the constants C1 = C2 = 1e-8; windows count the points with data alone, and
    the outer five rows and columns are NaN, as points without data are; so is all of a frame smaller than a window.

    Source: Baker, Pinard, Hammerling, "On a Structural Similarity Index Approach for Floating-Point Data", IEEE TVCG
    30(9), 2024, arXiv:2202.02616; and ldcpy 0.20, ``ssim_fp``, with which this agrees to rounding.
    """
    if not has_windows(x.shape) or not valid.any():
        return np.full(x.shape, math.nan)
    low = min(x[valid].min(), y[valid].min())
    high = max(x[valid].max(), y[valid].max())
    # A constant frame is compared in units of its value.
    shift, unit = (low, high - low) if high > low else (0.0, high or 1.0)
    a, b = (np.where(valid, np.round((v - shift) / unit * LEVELS) / LEVELS, 0.0) for v in (x, y))
    weight = _smooth(valid.astype(np.float64))

    def mean(values: Frame) -> Frame:
        with np.errstate(invalid="ignore"):
            return _smooth(values) / weight

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + EPSILON) / (mean_a**2 + mean_b**2 + EPSILON)
    structure = (2 * covariance + EPSILON) / (variances + EPSILON)
    inner = np.zeros(x.shape, np.bool_)
    inner[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
    return np.where(inner & valid, luminance * structure, math.nan)


def _smooth(values: Frame) -> Frame:
    smooth: Frame = ndimage.gaussian_filter(values, SIGMA, radius=RADIUS, mode="constant")
    return smooth


def ssim(x: Frame, y: Frame, valid: Mask, data_range: float) -> float:
    """The structural similarity index as of images, of the values themselves.

    Gaussian windows of 11 × 11 points, the constants K1 = 0.01 and K2 = 0.03, and the range of the whole original field
    as the dynamic range; windows that hold a point without data are left out, and so are those across the border.

    NaN for frames without such a window.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity",
    IEEE Transactions on Image Processing 13(4), 2004; computed by scikit-image.
    """
    if not has_windows(x.shape) or not valid.any():
        return math.nan
    if data_range == 0:
        return 1.0 if np.array_equal(x[valid], y[valid]) else 0.0
    middle = float(x[valid].mean())
    _, scores = structural_similarity(  # type: ignore[no-untyped-call]
        np.where(valid, x, middle),
        np.where(valid, y, middle),
        data_range=data_range,
        gaussian_weights=True,
        sigma=SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    whole = ndimage.minimum_filter(valid, size=2 * RADIUS + 1, mode="constant", cval=0)
    return float(scores[whole].mean()) if whole.any() else math.nan


def pearson(x: NDArray[Any], y: NDArray[Any]) -> float:
    """The correlation of two sets of values; NaN where one of them is constant."""
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    # In units of the range: squares of very small or large values are no float64.
    shift, unit = x.mean(), np.ptp(x)
    return float(stats.pearsonr((x - shift) / unit, (y - shift) / unit).statistic)


def kolmogorov_smirnov(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """Statistic and asymptotic p-value of the two-sample Kolmogorov–Smirnov test of two sets of values.

    Distributions of fewer than two values are not told apart: the p-value is 1.
    """
    if not x.size:
        return math.nan, math.nan
    if x.size < 2:
        return float(x[0] != y[0]), 1.0
    found = stats.ks_2samp(x, y, method="asymp")
    return float(found.statistic), float(found.pvalue)


def relative_errors(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """|y − x| / |x|, and |y − x| where x is zero, as ldcpy's ``spatial_rel_error`` has it."""
    errors: NDArray[np.float64] = np.abs(y - x) / np.where(x == 0, 1.0, np.abs(x))
    return errors
