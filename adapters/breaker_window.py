"""The calls of the last window, counted in a ring of buckets.

breaker.lua has the same rule for Redis; tests/adapters/breakers/test_window.py compares
the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .breaker_latency import CLASSES

#: So many buckets make a window: it reaches back between 5/6 and the whole of its
#: length, and a call costs one small write instead of an entry in a log of calls.
BUCKETS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The calls of the window.

    Attributes:
        first_ms: When the earliest of them was counted.
        both: Calls that failed and were slow, so that they are not counted twice.
        latencies: How many there were of each class of latency.
    """

    first_ms: int
    calls: int = 0
    failed: int = 0
    slow: int = 0
    both: int = 0
    latencies: tuple[int, ...] = (0,) * CLASSES

    @property
    def failures(self) -> int:
        """Calls that failed or were slow."""
        return self.failed + self.slow - self.both

    def is_sick(self, fail_max: int) -> bool:
        """Return whether the breaker must open.

        Args:
            fail_max: So many failures or slow calls open it, if they are at least
                half of all calls: a few failures in a lot of traffic do not.
        """
        return any(
            bad >= fail_max and bad * 2 >= self.calls
            for bad in (self.failed, self.slow)
        )

    def rate_per_s(self, now_ms: int) -> float:
        """Return calls per second since the first of them, over 1 s at least."""
        return self.calls / max((now_ms - self.first_ms) / 1000, 1)


@dataclass(slots=True, kw_only=True)
class _Bucket:
    index: int
    first_ms: int
    calls: int = 0
    failed: int = 0
    slow: int = 0
    both: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * CLASSES)


class Window:
    """A sliding window over calls. Not safe for threads: its owner has a lock."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._ring: dict[int, _Bucket] = {}

    def count(
        self, now_ms: int, *, failed: bool, slow: bool, latency_class: int = 0
    ) -> None:
        """Add one call."""
        index = self._index(now_ms)
        bucket = self._ring.get(index % BUCKETS)
        if bucket is None or bucket.index != index:
            bucket = self._ring[index % BUCKETS] = _Bucket(index=index, first_ms=now_ms)
        bucket.calls += 1
        bucket.failed += failed
        bucket.slow += slow
        bucket.both += failed and slow
        bucket.latencies[latency_class] += 1

    def counts(self, now_ms: int) -> Counts:
        """Sum the calls up that are not older than the window."""
        current = self._index(now_ms)
        live = [
            bucket
            for bucket in self._ring.values()
            if current - BUCKETS < bucket.index <= current
        ]
        return Counts(
            first_ms=min((bucket.first_ms for bucket in live), default=now_ms),
            calls=sum(bucket.calls for bucket in live),
            failed=sum(bucket.failed for bucket in live),
            slow=sum(bucket.slow for bucket in live),
            both=sum(bucket.both for bucket in live),
            latencies=tuple(
                sum(bucket.latencies[each] for bucket in live)
                for each in range(CLASSES)
            ),
        )

    def clear(self) -> None:
        """Forget all calls."""
        self._ring.clear()

    def _index(self, now_ms: int) -> int:
        return now_ms * BUCKETS // self._length_ms
