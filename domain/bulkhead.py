"""How much of a process one provider may hold, and when the rest comes back."""

from __future__ import annotations

from datetime import timedelta

#: The share of a process's threads that one provider may hold.
SHARE = 0.75

#: Shortest and longest time that a surplus email waits before it asks again.
SHORTEST_TURN = timedelta(milliseconds=200)
LONGEST_TURN = timedelta(seconds=30)


def most_threads(threads: int, *, providers: int) -> int | None:
    """Return how many threads one provider may hold, or ``None`` for all.

    With a single provider there is nobody to keep threads for.

    Args:
        threads: Of the process, 1 or more.
        providers: How many are configured.

    Examples:
        >>> most_threads(32, providers=2)
        24
        >>> most_threads(32, providers=1) is None
        True
    """
    if providers < 2 or threads < 2:
        return None
    return max(1, int(threads * SHARE))


def turn(surplus: int, *, rate_per_s: float) -> timedelta:
    """Return how long a surplus email is to wait for its turn.

    Args:
        surplus: Which one it is of those that wait, counted from 1.
        rate_per_s: Calls that the provider has lately answered in this process, a
            second; above 0.

    Examples:
        >>> turn(10, rate_per_s=5)
        datetime.timedelta(seconds=2)
    """
    wait = min(surplus / rate_per_s, LONGEST_TURN.total_seconds())
    return max(timedelta(seconds=wait), SHORTEST_TURN)
