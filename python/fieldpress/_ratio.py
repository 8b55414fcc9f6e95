"""Streams of a size: the tightest bound whose stream fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ._search import Line, furthest
from .errors import InvalidArgument

#: Bounds that are tried, all nrmse, and the first of them.
LOOSEST, FIRST, TIGHTEST = 0.5, 1e-3, 1e-8
#: What the logarithm of a stream's size grows by with that of one over the bound, about.
SLOPE = 0.5
#: A stream is close enough that is so little smaller than asked.
CLOSE = 0.02
#: Streams that are made, at most.
TRIALS = 8

#: A stream of a bound, and the report.
Compress = Callable[[tuple[str, float]], tuple[bytes, dict[str, Any]]]


def compress_to(ratio: float, compress: Compress) -> tuple[bytes, dict[str, Any]]:
    """The stream of the tightest bound of kind nrmse, or lossless, that is at most the field's size over ``ratio``.

    Some streams are made and compared; the largest that fits is returned, usually within 2 % of the size.

    Raises
    ------
    InvalidArgument
        For a ratio below 1, or one that no bound gives.
    """
    if not 1 <= ratio < math.inf:
        raise InvalidArgument(f"ratio={ratio:g} is not valid; expected a number from 1 on")
    best: tuple[bytes, dict[str, Any]] | None = None
    smallest = 0.0

    def excess(at: float) -> float:
        """The logarithm of a stream's size over what it may have."""
        nonlocal best, smallest
        stream, report = compress(("nrmse", float(f"{math.exp(-at):.3e}")))
        own = report["input_bytes"] / len(stream)
        smallest = max(smallest, own)
        if own >= ratio and (best is None or len(stream) > len(best[0])):
            best = stream, report
        return math.log(ratio / own)

    line = Line(-math.log(LOOSEST), -math.log(TIGHTEST), SLOPE, close=CLOSE, narrow=1e-3, trials=TRIALS)
    furthest(excess, -math.log(FIRST), line)
    if best is None:
        raise InvalidArgument(
            f"ratio={ratio:g} cannot be had: the smallest stream, under nrmse={LOOSEST}, has a ratio of {smallest:.4g}"
        )
    # Where the tightest bound fits, so may every bit.
    if best[1]["info"]["bound"][1] <= 1.01 * TIGHTEST:
        stream, report = compress(("lossless", 0.0))
        if report["input_bytes"] >= ratio * len(stream):
            return stream, report
    return best
