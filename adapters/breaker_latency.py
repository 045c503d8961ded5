"""How long calls take, counted in a few classes: cheap, and good enough to read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate

#: The upper bound of each class but the last, in ms; that one is open.
BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)

#: How many classes there are; breaker.lua has the same number.
CLASSES = len(BOUNDS_MS) + 1

_MS = timedelta(milliseconds=1)


def class_of(latency: timedelta) -> int:
    """Return the class of a call, counted from 0.

    Examples:
        >>> class_of(timedelta(milliseconds=10)), class_of(timedelta(milliseconds=11))
        (0, 1)
    """
    return bisect_left(BOUNDS_MS, latency / _MS)


def percentile_ms(counts: Sequence[int], part: float) -> int | None:
    """Return what a part of the calls did not exceed, in ms, or ``None`` without any.

    Calls are taken to lie evenly within their class, so the answer is right to within
    one; of the open class its lower bound is given.

    Args:
        counts: How many calls there were of each class.
        part: From 0 to 1, as in 0.95.

    Examples:
        >>> percentile_ms([0, 0, 0, 0, 10], 0.5), percentile_ms([0] * 12, 0.5)
        (175, None)
    """
    wanted = part * sum(counts)
    if not wanted:
        return None
    sums = list(accumulate(counts))
    place = bisect_left(sums, wanted)
    lower = BOUNDS_MS[place - 1] if place else 0
    if place == len(BOUNDS_MS):
        return lower
    within = (wanted - (sums[place] - counts[place])) / counts[place]
    return round(lower + within * (BOUNDS_MS[place] - lower))
