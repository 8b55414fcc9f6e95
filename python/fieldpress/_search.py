"""The last place on a line where something still holds, in few trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Values of the function are cut to this, so that one place where nothing is wrong does not bend the line.
_MOST = 8.0
#: Of the gap between what holds and what does not, the least that is kept to both sides.
_INSIDE = 0.1
#: Times that the slope between two places may differ from the guess.
_BEND = 4.0


@dataclass(frozen=True)
class Line:
    """Where to search, and how closely."""

    low: float
    high: float
    slope: float
    """A guess of how fast the function grows, used until two places are known; above 0."""
    close: float
    """It is enough to be so little below zero."""
    narrow: float
    """A gap that is not worth halving."""
    trials: int
    """Calls of the function, at most."""


def furthest(function: Callable[[float], float], start: float, line: Line) -> float | None:
    """The furthest place found where a function that grows, more or less, is not above zero.

    Steps along the guessed slope, then along lines through places that were tried.

    Returns
    -------
    float or None
        None where it was above zero wherever it was tried, the lowest place among them.
    """
    at = min(max(start, line.low), line.high)
    tried: list[tuple[float, float]] = []
    for _ in range(line.trials):
        value = min(max(function(at), -_MOST), _MOST)
        tried.append((at, value))
        held = max((one for one in tried if one[1] <= 0), default=None)
        failed = min((one for one in tried if one[1] > 0 and (held is None or one[0] > held[0])), default=None)
        is_close = held is not None and held[1] >= -line.close
        if is_close or (at >= line.high if value <= 0 else at <= line.low):
            break
        if held and failed and failed[0] - held[0] < line.narrow:
            break
        at = _next(tried, held, failed, line)
    held = max((one for one in tried if one[1] <= 0), default=None)
    if held is None and min(tried)[0] > line.low and function(line.low) <= 0:
        return line.low
    return held[0] if held else None


def _next(
    tried: list[tuple[float, float]], held: tuple[float, float] | None, failed: tuple[float, float] | None, line: Line
) -> float:
    """Where to try next: a little inside of where zero is expected."""
    if held is None or failed is None:
        at, value = tried[-1]
        slope = line.slope
        if len(tried) > 1:
            before, other = tried[-2]
            measured = (value - other) / (at - before)
            slope = min(max(measured, line.slope / _BEND), line.slope * _BEND)
        return min(max(at - (value + line.close / 2) / slope, line.low), line.high)
    (low, below), (high, above) = held, failed
    # An end that has stayed where it was counts for less each time (Illinois): where the function bends, the other one
    # would creep.
    sides = [value <= 0 for _, value in tried]
    stayed = next((n for n, side in enumerate(reversed(sides)) if side != sides[-1]), len(sides)) - 1
    if sides[-1]:
        above *= 0.5**stayed
    else:
        below *= 0.5**stayed
    gap = high - low
    expected = low - (below + line.close / 2) * gap / max(above - below, 1e-300)
    return min(max(expected, low + _INSIDE * gap), high - _INSIDE * gap)
