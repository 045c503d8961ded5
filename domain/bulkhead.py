"""How much of a process one provider may hold, so that it leaves some to the others."""

from __future__ import annotations

from collections.abc import Mapping

from .email import Priority

#: The part of a process's threads that one provider may hold with emails of a priority
#: and below. The steps keep places free for those above.
SHARES: Mapping[Priority, float] = {
    Priority.HIGH: 12 / 16,
    Priority.NORMAL: 11 / 16,
    Priority.LOW: 10 / 16,
}


def places(
    threads: int, *, providers: int, most: int | None = None
) -> Mapping[Priority, int] | None:
    """Return how many threads one provider may hold, or ``None`` for all.

    With a single provider there is nobody to keep threads for. With more, each
    priority leaves a place free for the next one above as long as it has two. Of what
    the provider itself allows, only low priority leaves a place to the others: of a
    few each one counts.

    Args:
        threads: Of the process, 1 or more.
        providers: How many the process serves.
        most: What the provider allows, 1 or more, or ``None`` for no limit of its own.

    Examples:
        >>> {p.value: n for p, n in places(32, providers=2).items()}
        {'high': 24, 'normal': 22, 'low': 20}
        >>> places(32, providers=1) is None
        True
        >>> {p.value: n for p, n in places(32, providers=1, most=3).items()}
        {'high': 3, 'normal': 3, 'low': 2}
    """
    shared = _shared(threads, providers=providers)
    if most is None or most >= threads:
        return shared
    held = {each: min(most, (shared or {}).get(each, threads)) for each in Priority}
    held[Priority.LOW] = max(1, min(held[Priority.LOW], most - 1))
    return held


def _shared(threads: int, *, providers: int) -> dict[Priority, int] | None:
    if providers < 2 or threads < 2:
        return None
    found: dict[Priority, int] = {}
    above = threads
    for priority, share in SHARES.items():
        above = max(1, min(int(threads * share), above - 1))
        found[priority] = above
    return found
