"""The threads of this process, shared out so that one slow provider leaves some."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from datetime import timedelta
from threading import Lock

from ..domain.bulkhead import SHORTEST_TURN, most_threads, turn
from ..domain.email import Priority
from ..domain.ports import Clock

#: How far back answered calls count for the rate.
RECENT_S = 10.0

#: How long after its turn an email is still waited for: another process may have it.
LATE_S = 1.0

#: The first goes first.
_ORDER = tuple(Priority)


class ThreadBulkhead:
    """Implements ``Bulkhead`` with a counter for each provider.

    Until ``share`` is called each provider may hold any number of threads.

    Args:
        timeout: Of a call: with no recent answer the pace is guessed from it.
        clock: Only its monotonic side is used.
    """

    def __init__(self, *, timeout: timedelta, clock: Clock) -> None:
        self._limit: int | None = None
        self._timeout_s = timeout.total_seconds()
        self._clock = clock
        self._lock = Lock()
        self._inside: defaultdict[str, int] = defaultdict(int)
        self._left: defaultdict[str, deque[float]] = defaultdict(deque)
        self._turns: defaultdict[tuple[str, Priority], deque[float]]
        self._turns = defaultdict(deque)

    def share(self, threads: int, *, providers: int) -> None:
        """Say how many threads this process has, for how many providers.

        Called once, before the first attempt.
        """
        self._limit = most_threads(threads, providers=providers)

    def enter(self, provider: str, priority: Priority) -> timedelta | None:
        """Take a place, or be told when to ask again.

        A place that falls free is kept for emails of a higher priority whose turn it
        is, or else a long backlog would take each one before they are back.
        """
        if self._limit is None:
            return None
        with self._lock:
            now = self._clock.monotonic()
            kept = self._kept(provider, priority, now)
            if self._inside[provider] + kept < self._limit:
                self._inside[provider] += 1
                if turns := self._given(provider, priority, now):
                    turns.popleft()
                return None
            return self._next_turn(provider, priority, self._limit)

    def leave(self, provider: str) -> None:
        """Give a place back."""
        if self._limit is None:
            return
        with self._lock:
            self._inside[provider] -= 1
            self._left[provider].append(self._clock.monotonic())

    def _kept(self, provider: str, priority: Priority, now: float) -> int:
        """Return how many places are due to emails of a higher priority."""
        soon = now + SHORTEST_TURN.total_seconds()
        higher = _ORDER[: _ORDER.index(priority)]
        return sum(
            at <= soon for one in higher for at in self._given(provider, one, now)
        )

    def _next_turn(self, provider: str, priority: Priority, limit: int) -> timedelta:
        """Return the wait for the turn after the last one that goes before it."""
        now = self._clock.monotonic()
        rate = self._rate(provider, limit, now)
        first = _ORDER[: _ORDER.index(priority) + 1]
        given = [turns for one in first if (turns := self._given(provider, one, now))]
        last = max((turns[-1] for turns in given), default=now)
        ahead = (last - now) * rate
        wait = turn(max(0, math.floor(ahead)) + 1, rate_per_s=rate)
        self._turns[provider, priority].append(now + wait.total_seconds())
        return wait

    def _given(self, provider: str, priority: Priority, now: float) -> deque[float]:
        """Return the turns that were given out and may still be taken."""
        turns = self._turns[provider, priority]
        while turns and turns[0] < now - LATE_S:
            turns.popleft()
        return turns

    def _rate(self, provider: str, limit: int, now: float) -> float:
        left = self._left[provider]
        while left and left[0] < now - RECENT_S:
            left.popleft()
        return max(len(left) / RECENT_S, limit / self._timeout_s)
