"""The breaker board that all processes share, over Redis.

Redis is not needed: while it is away each process goes on with breakers of its own,
from what it last saw (docs/adr/0010-shared-breaker.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import redis
import structlog

from ..domain.policy import SENDER_MEMORY
from ..domain.ports import BreakerView, Clock, Denied, Permit, Report
from ..domain.routing import BreakerState, Health
from .breaker_facts import Facts, Order, Rules, SureClock, health_of, view_of
from .breaker_redis import FRESH_S, STALE_S, BreakerScripts, LeasedRedisStorage, peek
from .breakers import SharedBreaker, says_nothing
from .memory_board import MemoryBreakerBoard

#: After Redis failed to answer it is left alone for this long, in seconds.
AWAY_S = 5.0

_LOG = structlog.get_logger(__name__)

T = TypeVar("T")


class Absence:
    """Remembers that Redis is away, so that only one call in 5 s waits to find out.

    Whoever asks Redis passes what ``begin`` gave it on: an answer or a failure from
    before the last change says nothing about now.
    """

    def __init__(self, clock: SureClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._times = 0

    @property
    def is_on(self) -> bool:
        """Whether Redis is taken to be away."""
        return self._until_s is not None

    def begin(self) -> int | None:
        """Return what to report with, or ``None``: go on without Redis."""
        if self._until_s is None:
            return self._times
        with self._lock:
            now = self._clock.monotonic()
            if self._until_s is not None:
                if now < self._until_s:
                    return None
                self._until_s = now + AWAY_S  # the others wait for this one's answer
            return self._times

    def failed(self, began: int) -> bool:
        """Note that Redis did not answer; return whether that is new."""
        with self._lock:
            is_new = began == self._times and self._until_s is None
            if is_new:
                self._times += 1
                self._until_s = self._clock.monotonic() + AWAY_S
            return is_new

    def answered(self, began: int) -> bool:
        """Note that Redis did answer; return whether that is new."""
        if self._until_s is None:
            return False
        with self._lock:
            is_new = began == self._times and self._until_s is not None
            if is_new:
                self._until_s = None
            return is_new


class RedisBreakerBoard:
    """The ``BreakerBoard`` of all processes.

    Args:
        client: Its own, with ``socket_timeout`` and ``socket_connect_timeout`` of 0.2 s
            and ``Retry(NoBackoff(), 0)``: that bounds what a Redis that is away costs.
        names: The configured providers. Any other name is a ``KeyError``.
        fail_max: Failures, or slow calls, in the window that open a breaker if they
            are at least half of its calls.
        reset: The first wait before a probe; doubles with each failed one, up to 8
            times.
        window: How far back calls count.
        timeout: Of one call to a provider: what is slow and how long a probe's lease
            is follow from it.
        clock: Gives the instants that leave here; waits come from Redis.
        clock_lua: Only for tests, see ``BreakerScripts``.
    """

    def __init__(
        self,
        client: redis.Redis,
        names: Sequence[str],
        *,
        fail_max: int,
        reset: timedelta,
        window: timedelta,
        timeout: timedelta,
        clock: Clock,
        clock_lua: str | None = None,
    ) -> None:
        rules = Rules.of(fail_max=fail_max, reset=reset, window=window, timeout=timeout)
        self._clock = SureClock(clock)
        self._absence = Absence(self._clock)
        self._scripts = BreakerScripts(client, clock_lua=clock_lua)
        self._storages = {
            name: LeasedRedisStorage(name, rules, scripts=self._scripts, clock=clock)
            for name in names
        }
        self.breakers = {
            name: SharedBreaker(storage) for name, storage in self._storages.items()
        }
        self._own = MemoryBreakerBoard(
            names,
            fail_max=fail_max,
            reset=reset,
            window=window,
            timeout=timeout,
            clock=clock,
        )
        self._peeking = threading.Lock()
        self._peeked_at_s: float | None = None
        self._refuses_from: dict[str, Mapping[str, datetime]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether Redis answered lately; else this process is on its own."""
        return not self._absence.is_on

    def health(self, provider: str) -> Health:
        """Return a snapshot that is at most 250 ms old.

        One thread refreshes it, of all providers in one trip; for that moment the
        others get the old one, if it is not older than 1 s.
        """
        return self._either(
            lambda: self._snapshot(provider), lambda own: own.health(provider)
        )

    def view(self, provider: str) -> BreakerView:
        """Return the present state, read now."""
        return self._either(
            lambda: view_of(self._peek()[provider], self._clock.now()),
            lambda own: own.view(provider),
        )

    def permit(self, provider: str, *, probe: bool) -> Permit | Denied:
        """Ask for the right to one call."""
        return self._either(
            lambda: self.breakers[provider].permit(probe=probe),
            lambda own: own.permit(provider, probe=probe),
        )

    def report(self, permit: Permit, report: Report) -> BreakerState:
        """Tell what came of the call, and return the state after it.

        One trip, or none for a neutral result of a call that was no probe.
        """
        if says_nothing(permit, report):
            board = self._own if self._absence.is_on else self
            return board.breakers[permit.provider].report(permit, report)
        return self._either(
            lambda: self.breakers[permit.provider].report(permit, report),
            lambda own: own.report(permit, report),
        )

    def elect_probe(self, provider: str, email_id: str) -> bool:
        """Return whether this email is to be the provider's next probe."""
        return self._either(
            lambda: self._storages[provider].elect(email_id),
            lambda own: own.elect_probe(provider, email_id),
        )

    def may_release(self, provider: str, *, every: timedelta) -> bool:
        """Return whether a slice of parked emails may be let go now."""
        return self._either(
            lambda: self._storages[provider].may_release(every),
            lambda own: own.may_release(provider, every=every),
        )

    def pause(self, provider: str, *, wait: timedelta) -> None:
        """Keep all from calling a provider for ``wait``, an hour at most."""
        self._either(
            lambda: self._storages[provider].pause(wait),
            lambda own: own.pause(provider, wait=wait),
        )

    def remember_refused_sender(self, provider: str, from_domain: str) -> None:
        """Keep emails of this From domain from a provider for ten minutes."""
        self._either(
            lambda: self._refuse(provider, from_domain),
            lambda own: own.remember_refused_sender(provider, from_domain),
        )

    def trip(self, provider: str) -> bool:
        """Open a breaker by hand; it is probed like any other.

        Returns:
            Whether all processes see it; ``False`` while Redis is away. The same goes
            for the other verbs.
        """
        return self._order(provider, Order.TRIP)

    def reset(self, provider: str) -> bool:
        """Close a breaker by hand, and end a pause."""
        return self._order(provider, Order.RESET)

    def drain(self, provider: str) -> bool:
        """Take a provider out of use until ``resume``."""
        return self._order(provider, Order.DRAIN)

    def resume(self, provider: str) -> bool:
        """Take a drained or paused provider into use again."""
        return self._order(provider, Order.RESUME)

    def _order(self, provider: str, order: Order) -> bool:
        def shared() -> bool:
            self._storages[provider].order(order)
            self.breakers[provider].notice()
            return True

        def own(board: MemoryBreakerBoard) -> bool:
            board.order(provider, order)
            return False

        return self._either(shared, own)

    def _either(
        self,
        shared: Callable[[], T],
        own: Callable[[MemoryBreakerBoard], T],
    ) -> T:
        began = self._absence.begin()
        if began is None:
            return own(self._own)
        try:
            result = shared()
        except redis.RedisError as ex:
            if self._absence.failed(began):
                self._go_on_alone(ex)
            return own(self._own)
        if self._absence.answered(began):
            _LOG.info("breaker.redis_back")
        return result

    def _go_on_alone(self, ex: redis.RedisError) -> None:
        _LOG.warning("breaker.redis_away", error=type(ex).__name__)
        now = self._clock.monotonic()
        for name, storage in self._storages.items():
            if seen := storage.known():
                self._own.adopt(name, seen.facts, age_s=now - seen.at_s)

    def _refuse(self, provider: str, from_domain: str) -> None:
        self._storages[provider].refuse(from_domain)
        seen = self._refuses_from.get(provider, {})
        until = self._clock.now() + SENDER_MEMORY
        self._refuses_from[provider] = {**seen, from_domain: until}

    def _snapshot(self, provider: str) -> Health:
        age_s = self._peek_age_s()
        if age_s > STALE_S:
            self._peek()
        elif age_s > FRESH_S and self._peeking.acquire(blocking=False):
            try:
                self._peek()
            finally:
                self._peeking.release()
        return self._known(provider)

    def _known(self, provider: str) -> Health:
        seen = self._storages[provider].seen
        if seen is None:
            return Health()
        age_s = self._clock.monotonic() - seen.at_s
        health = health_of(seen.facts, self._clock.now(), age_s=age_s)
        return replace(health, refuses_from=self._refuses_from.get(provider, {}))

    def _peek_age_s(self) -> float:
        if self._peeked_at_s is None:
            return float("inf")
        return self._clock.monotonic() - self._peeked_at_s

    def _peek(self) -> Mapping[str, Facts]:
        found = peek(self._scripts, tuple(self._storages.values()))
        self._peeked_at_s = self._clock.monotonic()
        now = self._clock.now()
        for name, facts in found.items():
            self._refuses_from[name] = health_of(facts, now).refuses_from
            self.breakers[name].notice()
        return found
