"""How long to wait before the same provider may have an email again."""

from __future__ import annotations

from datetime import timedelta

from .policy import LONGEST_RETRY_AFTER, Policy

#: Doublings from the shortest first delay to beyond the longest; more add nothing.
_MOST_DOUBLINGS = 32


def next_delay(policy: Policy, attempt: int, *, jitter: float) -> timedelta:
    """Return how long to wait after a failed attempt.

    The delay doubles with each attempt up to ``policy.retry_max``; ``jitter`` then
    takes off at most half of it, so that emails which failed together, as when a
    provider goes down, do not come back together ("equal jitter").

    Args:
        policy: Gives the first and the longest delay.
        attempt: The attempt that just failed, counted from 1.
        jitter: A draw from [0, 1), made by the caller; 0 keeps the full delay.

    Returns:
        A delay in (0, ``policy.retry_max``].

    Raises:
        ValueError: ``attempt`` is below 1, or ``jitter`` outside [0, 1).

    See Also:
        Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

    Examples:
        >>> next_delay(Policy(retry_first=timedelta(seconds=15)), 3, jitter=0)
        datetime.timedelta(seconds=60)
    """
    if attempt < 1:
        raise ValueError(f"attempt must be 1 or more, got {attempt}")
    if not 0 <= jitter < 1:
        raise ValueError(f"jitter must be in [0, 1), got {jitter}")
    # Compared before it is multiplied: no date of a far longer one could be written.
    growth = 1 << min(attempt - 1, _MOST_DOUBLINGS)
    if growth >= policy.retry_max / policy.retry_first:
        full = policy.retry_max
    else:
        full = policy.retry_first * growth
    return full * (1 - jitter / 2)


def at_least(delay: timedelta, retry_after: timedelta | None) -> timedelta:
    """Return the delay with a provider's Retry-After as its floor.

    A provider may ask for at most ``LONGEST_RETRY_AFTER``; what is negative counts
    for nothing.

    Examples:
        >>> at_least(timedelta(seconds=2), timedelta(seconds=30))
        datetime.timedelta(seconds=30)
        >>> at_least(timedelta(seconds=2), timedelta(days=9))
        datetime.timedelta(seconds=3600)
    """
    if retry_after is None:
        return delay
    return max(delay, min(retry_after, LONGEST_RETRY_AFTER))
