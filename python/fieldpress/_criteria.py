"""Thresholds of the climate literature for compressed output, and where they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Where the four tests were put together.
_BAKER_2017 = (
    "Baker, Xu, Hammerling, Li, Clyne, “Toward a Multi-method Approach: Lossy Data Compression for Climate Simulation "
    "Data”, ISC High Performance Workshops 2017, doi:10.1007/978-3-319-67630-2_3; the value is the default of ldcpy "
    "0.20 (check_metrics)"
)
_BAKER_2024 = (
    "Baker, Pinard, Hammerling, “On a Structural Similarity Index Approach for Floating-Point Data”, IEEE TVCG 30(9), "
    "2024, arXiv:2202.02616; the value is the default of ldcpy 0.20 (CompChecker)"
)


@dataclass(frozen=True)
class Criterion:
    """A score of frames, and what it has to be in the worst of them."""

    key: str
    """The score's name in `FrameScores`."""
    name: str
    """What people call it."""
    threshold: float
    at_least: bool
    """Whether the score has to be at least the threshold, or at most."""
    source: str
    """The publication that it is from."""

    def holds(self, value: float) -> bool:
        """Whether a score is good enough; NaN, a score that a field does not have, is."""
        return math.isnan(value) or (value >= self.threshold if self.at_least else value <= self.threshold)

    @property
    def text(self) -> str:
        """The criterion, as ``DSSIM ≥ 0.9995``."""
        return f"{self.name} {'≥' if self.at_least else '≤'} {self.threshold:g}"


#: What a field has to satisfy in every frame so that climate scientists call it unchanged.
CRITERIA = (
    Criterion("dssim", "DSSIM", 0.9995, True, _BAKER_2024),
    Criterion("pearson", "Pearson correlation", 0.99999, True, _BAKER_2017),
    Criterion("ks_p", "Kolmogorov–Smirnov p", 0.05, True, _BAKER_2017),
    Criterion("relative_share", "share of points with a relative error above 1e-4", 0.05, False, _BAKER_2017),
)


@dataclass(frozen=True)
class Judgement:
    """What a criterion says of a field."""

    criterion: Criterion
    value: float
    """The score of the worst frame; NaN where no frame has one."""
    frame: int | None
    """That frame, counted over all axes but the last two."""

    @property
    def passes(self) -> bool:
        """Whether the criterion holds, or does not apply."""
        return self.criterion.holds(self.value)

    @property
    def applies(self) -> bool:
        """Whether some frame has the score."""
        return not math.isnan(self.value)
