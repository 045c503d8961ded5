"""The values that both breaker storages take and give, and their way to the port.

A storage speaks of *waits* in milliseconds, counted from the moment of its answer: no
instant of Redis's clock ever meets one of ours. They become instants here, last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from ..domain.errors import ClockUnsureError
from ..domain.policy import LONGEST_OFFER_WAIT, LONGEST_RETRY_AFTER
from ..domain.ports import BreakerView, Clock, Denied
from ..domain.routing import BreakerState, Health
from .breaker_latency import percentile_ms

#: A probe holds its lease for the provider's timeout and this: longer than any call.
PROBE_MARGIN = timedelta(seconds=10)

#: The wait doubles with each failed probe up to this many times the first one.
LONGEST_WAIT_FACTOR = 8

#: A call slower than this part of the timeout counts as slow.
SLOW_PART = 0.8

#: Most From domains remembered for a provider; the latest ones stay.
MOST_REFUSED_SENDERS = 1000

_MS = timedelta(milliseconds=1)


class Verdict(StrEnum):
    """What a storage says to a request for a permit."""

    PASS = "pass"  # noqa: S105 - not a password
    PROBE = "probe"
    DENY = "deny"


class Order(StrEnum):
    """What an operator may tell a breaker."""

    TRIP = "trip"
    RESET = "reset"
    DRAIN = "drain"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers of the breaker rule, in the units that the scripts take.

    Attributes:
        fail_max: Failures in the window, or slow calls, that open the breaker if they
            are at least half of its calls.
        reset_ms: The first wait before a probe.
        window_ms: How far back calls count.
        lease_ms: How long a probe is waited for.
        slow: A call longer than this is slow.
        longest_pause_ms: No provider may pause us for longer.
    """

    fail_max: int
    reset_ms: int
    window_ms: int
    lease_ms: int
    slow: timedelta
    longest_pause_ms: int = LONGEST_RETRY_AFTER // _MS

    @classmethod
    def of(
        cls,
        *,
        fail_max: int,
        reset: timedelta,
        window: timedelta,
        timeout: timedelta,
    ) -> Self:
        """Make the rules from the settings' numbers and the provider timeout."""
        return cls(
            fail_max=fail_max,
            reset_ms=reset // _MS,
            window_ms=window // _MS,
            lease_ms=(timeout + PROBE_MARGIN) // _MS,
            slow=timeout * SLOW_PART,
        )

    @property
    def longest_wait_ms(self) -> int:
        """The longest wait before a probe."""
        return LONGEST_WAIT_FACTOR * self.reset_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One breaker at one moment.

    Attributes:
        epoch: Which life of the breaker; grows with each opening and closing.
        wait_ms: While not closed: until the next probe; below 0 when overdue.
        pause_ms: Until the provider's own pause ends; 0 for none.
        at_us: The storage's clock, only good for telling which of two is newer.
        latencies: How many calls of the window there were of each class of latency.
            Only a peek reads them.
        refuses: From domains that the provider refused lately, each with what is left
            of that memory in ms. Only a peek reads them.
    """

    state: BreakerState = BreakerState.CLOSED
    epoch: int = 0
    wait_ms: int = 0
    pause_ms: int = 0
    drained: bool = False
    calls: int = 0
    failures: int = 0
    rate_per_s: float = 0.0
    at_us: int = 0
    latencies: tuple[int, ...] = ()
    refuses: Mapping[str, int] = field(default_factory=dict)

    @property
    def lets_all_pass(self) -> bool:
        """Whether every call may go on without asking further."""
        is_usable = not self.drained and self.pause_ms <= 0
        return is_usable and self.state is BreakerState.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A storage's answer to a request for a permit, and what it was based on."""

    verdict: Verdict
    facts: Facts


class SureClock:
    """The clock port for those who may never raise.

    When the store's time is unsure it goes on from the last sure one by the monotonic
    clock; if there was none, from this machine's own. That is good enough for instants
    that only say when to look again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the best guess of the store's time."""
        monotonic = self._clock.monotonic()
        try:
            now = self._clock.now()
        except ClockUnsureError:
            if self._anchor is None:
                now = datetime.now(UTC)  # noqa: TID251 - nothing better is known
                self._anchor = (now, monotonic)
            then, then_monotonic = self._anchor
            return then + timedelta(seconds=monotonic - then_monotonic)
        self._anchor = (now, monotonic)
        return now

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return self._clock.monotonic()


def aged(facts: Facts, age_s: float) -> tuple[int, int]:
    """Return ``wait_ms`` and ``pause_ms`` as they are ``age_s`` seconds later."""
    age_ms = int(age_s * 1000)
    return facts.wait_ms - age_ms, max(facts.pause_ms - age_ms, 0)


def health_of(facts: Facts, now: datetime, *, age_s: float = 0.0) -> Health:
    """Turn facts that are ``age_s`` seconds old into the port's value."""
    wait_ms, pause_ms = aged(facts, age_s)
    is_closed = facts.state is BreakerState.CLOSED
    return Health(
        state=facts.state,
        retry_at=None if is_closed else now + wait_ms * _MS,
        resume_at=now + pause_ms * _MS if pause_ms > 0 else None,
        drained=facts.drained,
        refuses_from={
            domain: now + left_ms * _MS - timedelta(seconds=age_s)
            for domain, left_ms in facts.refuses.items()
        },
    )


def view_of(facts: Facts, now: datetime) -> BreakerView:
    """Turn fresh facts into what operators see."""
    return BreakerView(
        health=health_of(facts, now),
        calls=facts.calls,
        failures=facts.failures,
        rate_per_s=facts.rate_per_s,
        p50_ms=percentile_ms(facts.latencies, 0.5),
        p95_ms=percentile_ms(facts.latencies, 0.95),
    )


def denied(provider: str, facts: Facts, rules: Rules) -> Denied:
    """Say how long it makes sense to wait after a refused permit.

    When a probe is due but the caller may not be it, that is the probe's lease: its
    result, or its loss, comes by then.
    """
    if facts.drained:
        return Denied(provider=provider, wait=LONGEST_OFFER_WAIT)
    wait_ms = max(facts.wait_ms, facts.pause_ms)
    return Denied(
        provider=provider, wait=(wait_ms if wait_ms > 0 else rules.lease_ms) * _MS
    )
