"""Token buckets: one for each key in Redis, or one in each process while it is away.

A bucket holds ``burst`` tokens and gets ``per_s`` back each second; a request takes
one. Why so: docs/adr/0041-rate-limit.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis
import structlog

from ..domain.access import Rate
from ..domain.ports_access import Allowance

log = structlog.get_logger(__name__)

#: How long Redis is not asked again after it did not answer, in seconds.
AWAY_S = 1.0

#: Local buckets that are kept at most; beyond that all begin anew.
MOST_BUCKETS = 10_000

_PREFIX = "postroom:rate:"


@dataclass(slots=True)
class Bucket:
    """What is left for one key, and when that was counted, in monotonic seconds."""

    tokens: float
    at_s: float


class LocalRateLimit:
    """Implements ``RateLimit`` for one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def take(self, key_id: str, rate: Rate) -> Allowance:
        """Let a request pass, or not."""
        with self._lock:
            now = self._monotonic()
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets.setdefault(key_id, Bucket(rate.burst, now))
            grown = bucket.tokens + (now - bucket.at_s) * rate.per_s
            bucket.tokens, bucket.at_s = min(rate.burst, grown), now
            passes = bucket.tokens >= 1
            if passes:
                bucket.tokens -= 1
            return allowance(rate, passes=passes, tokens=bucket.tokens)


class RedisRateLimit:
    """Implements ``RateLimit`` over all processes, with one trip for a request.

    Args:
        client: With a short timeout: a request waits for it.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        text = Path(__file__).with_suffix(".lua").read_text("utf-8")
        self._script = client.register_script(text)
        self._monotonic = monotonic
        self._local = LocalRateLimit(monotonic)
        self._away_until_s = -math.inf

    def take(self, key_id: str, rate: Rate) -> Allowance:
        """Let a request pass, or not; see ``RateLimit.take``."""
        if self._monotonic() < self._away_until_s:
            return self._local.take(key_id, rate)
        try:
            passes, tokens = self._script(
                keys=[f"{_PREFIX}{key_id}"], args=[rate.per_s, rate.burst]
            )
        except (redis.RedisError, OSError) as ex:
            self._away_until_s = self._monotonic() + AWAY_S
            log.warning("rate.local", error=type(ex).__name__)
            return self._local.take(key_id, rate)
        return allowance(rate, passes=bool(passes), tokens=float(tokens))


def allowance(rate: Rate, *, passes: bool, tokens: float) -> Allowance:
    """Return what a bucket says that has so many tokens left."""
    return Allowance(
        allowed=passes,
        limit=rate.burst,
        remaining=int(tokens),
        reset_s=(rate.burst - tokens) / rate.per_s,
        retry_s=0.0 if tokens >= 1 else (1 - tokens) / rate.per_s,
    )
