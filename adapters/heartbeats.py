"""Signs of life of the processes, in Redis and by Redis's clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import redis
import structlog
from redis.exceptions import RedisError

from ..domain.ports import Clock

log = structlog.get_logger(__name__)

#: One hash: part -> time of its last sign, in ms since 1970 of Redis's clock.
KEY = "postroom:heartbeats"

#: A part that is gone for good is forgotten with all others, in seconds; until then
#: it counts as missing, and afterwards too.
FORGET_AFTER_S = 86_400

_TIME = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_BEAT = (
    _TIME
    + """
for i = 2, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], now)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return now
"""
)

_AGES = (
    _TIME
    + """
local beats = redis.call('HGETALL', KEYS[1])
for i = 2, #beats, 2 do
  beats[i] = now - beats[i]
end
return beats
"""
)


class RedisHeartbeats:
    """`postroom.domain.ports.Heartbeats` over Redis.

    The parts are `worker`, `router`, `sweep` and `scheduler`, and each `send.*` queue
    that a worker serves; of several processes of a part the last sign counts.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._beat = client.register_script(_BEAT)
        self._ages = client.register_script(_AGES)
        self._is_away = False

    def beat(self, *parts: str) -> None:
        """Leave a sign of life. Never raises; Redis may be away."""
        try:
            self._beat(keys=[KEY], args=[FORGET_AFTER_S, *parts])
        except (RedisError, OSError) as ex:
            self._note(ex)
        else:
            self._note(None)

    def ages(self) -> Mapping[str, timedelta] | None:
        """Return the age of each part's last sign, or ``None`` if Redis is away."""
        try:
            answer: list[Any] = self._ages(keys=[KEY])
        except (RedisError, OSError) as ex:
            self._note(ex)
            return None
        self._note(None)
        # Redis's clock may have been set back: nothing is younger than now.
        return {
            _text(part): timedelta(milliseconds=max(0, int(age)))
            for part, age in zip(answer[::2], answer[1::2], strict=True)
        }

    def _note(self, ex: Exception | None) -> None:
        """Log when Redis goes away, not each time that it is."""
        if ex is not None and not self._is_away:
            log.warning("heartbeats.away", error=type(ex).__name__)
        self._is_away = ex is not None


class MemoryHeartbeats:
    """The twin for tests and for one single process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def beat(self, *parts: str) -> None:
        """Leave a sign of life."""
        self._seen |= dict.fromkeys(parts, self._clock.monotonic())

    def ages(self) -> Mapping[str, timedelta] | None:
        """Return the age of each part's last sign."""
        now = self._clock.monotonic()
        return {part: timedelta(seconds=now - at) for part, at in self._seen.items()}


def _text(value: bytes | str) -> str:
    """Return text of an answer, whether or not the client decodes."""
    return value.decode() if isinstance(value, bytes) else value
