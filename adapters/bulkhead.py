"""The threads of this process, shared out so that one slow provider leaves some."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from datetime import timedelta
from threading import Lock

from ..domain.bulkhead import most_threads, turn
from ..domain.ports import Clock

#: How far back answered calls count for the rate.
RECENT_S = 10.0


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
        self._last_turn: defaultdict[str, float] = defaultdict(lambda: -math.inf)

    def share(self, threads: int, *, providers: int) -> None:
        """Say how many threads this process has, for how many providers.

        Called once, before the first attempt.
        """
        self._limit = most_threads(threads, providers=providers)

    def enter(self, provider: str) -> timedelta | None:
        """Take a place, or be told when to ask again."""
        if self._limit is None:
            return None
        with self._lock:
            if self._inside[provider] < self._limit:
                self._inside[provider] += 1
                return None
            return self._next_turn(provider, self._limit)

    def leave(self, provider: str) -> None:
        """Give a place back."""
        if self._limit is None:
            return
        with self._lock:
            self._inside[provider] -= 1
            self._left[provider].append(self._clock.monotonic())

    def _next_turn(self, provider: str, limit: int) -> timedelta:
        """Return the wait for the turn after the last one that was given out."""
        now = self._clock.monotonic()
        rate = self._rate(provider, limit, now)
        ahead = max(0.0, (self._last_turn[provider] - now) * rate)
        wait = turn(math.floor(ahead) + 1, rate_per_s=rate)
        self._last_turn[provider] = now + wait.total_seconds()
        return wait

    def _rate(self, provider: str, limit: int, now: float) -> float:
        left = self._left[provider]
        while left and left[0] < now - RECENT_S:
            left.popleft()
        return max(len(left) / RECENT_S, limit / self._timeout_s)
