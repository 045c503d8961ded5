"""A breaker's state in this process: for when Redis is away, and for tests.

The rules are those of the Lua scripts beside this file, function by function; a
property test drives both with the same calls.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import assert_never

from ..domain.policy import SENDER_MEMORY
from ..domain.ports import Clock, Permit, Report
from ..domain.routing import BreakerState
from .breaker_facts import (
    MOST_REFUSED_SENDERS,
    Admission,
    Facts,
    Order,
    Rules,
    Verdict,
    aged,
)
from .breaker_latency import class_of
from .breaker_window import Window
from .breakers import LeasedStorage

_MS = timedelta(milliseconds=1)


@dataclass(slots=True, kw_only=True)
class _Breaker:
    """The fields of the hash in Redis, by the same names."""

    window: Window
    state: BreakerState = BreakerState.CLOSED
    epoch: int = 0
    ends: int = 0
    resume: int = 0
    drained: bool = False
    probe: str = ""
    failed_probes: int = 0
    opened_at: int = 0
    rate: float = 0.0
    rate_until: int = 0
    elected: str = ""
    elected_epoch: int = 0
    elected_until: int = 0
    released_until: int = 0
    refuses: dict[str, int] = field(default_factory=dict)


class LeasedMemoryStorage(LeasedStorage):
    """One breaker, by the monotonic clock. The lock is held for moments only."""

    def __init__(self, name: str, rules: Rules, *, clock: Clock) -> None:
        super().__init__(name, rules)
        self._clock = clock
        self._lock = threading.Lock()
        self._breaker = _Breaker(window=Window(rules.window_ms))

    @property
    def facts(self) -> Facts:
        """The breaker as it is now."""
        with self._lock:
            return self._facts(self._now_us())

    def adopt(self, facts: Facts, *, age_s: float) -> None:
        """Go on from what was last seen of the shared breaker.

        Its epoch is taken over too, so that the results of calls in hand count here.
        A probe of another process cannot report here: its lease is waited for.

        Args:
            facts: What was seen.
            age_s: How long ago, in seconds.
        """
        with self._lock:
            now = self._now_us() // 1000
            wait_ms, pause_ms = aged(facts, age_s)
            is_closed = facts.state is BreakerState.CLOSED
            self._breaker = _Breaker(
                window=Window(self.rules.window_ms),
                state=BreakerState.CLOSED if is_closed else BreakerState.OPEN,
                epoch=facts.epoch,
                ends=0 if is_closed else now + wait_ms,
                resume=now + pause_ms,
                drained=facts.drained,
                opened_at=now,
                rate=facts.rate_per_s,
                rate_until=now + self.rules.window_ms if is_closed else 0,
                refuses={
                    domain: now + left_ms - int(age_s * 1000)
                    for domain, left_ms in facts.refuses.items()
                },
            )

    def admit(self, token: str, *, probe: bool) -> Admission:
        """Let a call pass, make it the probe under ``token``, or deny it."""
        with self._lock:
            now_us = self._now_us()
            verdict = self._admit(now_us // 1000, token, probe=probe)
            return Admission(verdict=verdict, facts=self._facts(now_us))

    def settle(self, permit: Permit, report: Report) -> Facts:
        """Take the result of a call that was admitted."""
        with self._lock:
            now_us = self._now_us()
            b = self._breaker
            if permit.epoch == b.epoch:
                if permit.is_probe:
                    if permit.token == b.probe:
                        self._settle_probe(now_us, report)
                elif b.state is BreakerState.CLOSED:
                    self._count(now_us, report)
            return self._facts(now_us)

    def elect(self, email_id: str) -> bool:
        """Return whether this email is the next probe."""
        with self._lock:
            now, b = self._now_us() // 1000, self._breaker
            is_closed = b.state is BreakerState.CLOSED
            if b.drained:
                return False
            if is_closed and b.resume <= now:
                return True
            if b.elected and b.elected_epoch == b.epoch and b.elected_until > now:
                return b.elected == email_id
            free_at = max(b.resume, 0 if is_closed else b.ends, now)
            b.elected, b.elected_epoch = email_id, b.epoch
            b.elected_until = free_at + self.rules.lease_ms
            return True

    def may_release(self, every: timedelta) -> bool:
        """Return whether this call is the one of all in ``every``."""
        with self._lock:
            now, b = self._now_us() // 1000, self._breaker
            if now < b.released_until <= now + every // _MS:
                return False
            b.released_until = now + every // _MS
            return True

    def pause(self, wait: timedelta) -> Facts:
        """Deny all calls for ``wait``, or for longer if that was said before."""
        with self._lock:
            now_us, b = self._now_us(), self._breaker
            now = now_us // 1000
            if b.resume <= now:
                b.elected = ""
            wait_ms = min(wait // _MS, self.rules.longest_pause_ms)
            b.resume = max(b.resume, now + wait_ms)
            return self._facts(now_us)

    def refuse(self, from_domain: str) -> Facts:
        """Remember that the provider refused this From domain."""
        with self._lock:
            now_us, b = self._now_us(), self._breaker
            now = now_us // 1000
            b.refuses.pop(from_domain, None)  # so that the latest come last
            b.refuses[from_domain] = now + SENDER_MEMORY // _MS
            live = [(name, end) for name, end in b.refuses.items() if end > now]
            b.refuses = dict(live[-MOST_REFUSED_SENDERS:])
            return self._facts(now_us)

    def order(self, order: Order) -> Facts:
        """Do what an operator says."""
        with self._lock:
            now_us = self._now_us()
            match order:
                case Order.TRIP:
                    self._open(now_us, failed_probes=0)
                case Order.RESET:
                    self._close(now_us // 1000)
                    self._breaker.resume = 0
                case Order.DRAIN:
                    self._breaker.drained = True
                case Order.RESUME:
                    self._breaker.drained = False
                    self._breaker.resume = self._breaker.released_until = 0
                case _:
                    assert_never(order)
            return self._facts(now_us)

    def _now_us(self) -> int:
        return round(self._clock.monotonic() * 1_000_000)

    def _admit(self, now: int, token: str, *, probe: bool) -> Verdict:
        b = self._breaker
        if b.drained or b.resume > now:
            return Verdict.DENY
        if b.state is BreakerState.CLOSED:
            return Verdict.PASS
        if not probe or b.ends > now:
            return Verdict.DENY
        b.state, b.probe = BreakerState.HALF_OPEN, token
        b.ends = now + self.rules.lease_ms
        return Verdict.PROBE

    def _settle_probe(self, now_us: int, report: Report) -> None:
        b = self._breaker
        if report.trip or report.success is False:
            self._open(now_us, failed_probes=b.failed_probes + 1)
        elif report.success:
            self._close(now_us // 1000)
        else:
            b.state, b.probe, b.elected = BreakerState.OPEN, "", ""
            b.ends = now_us // 1000

    def _count(self, now_us: int, report: Report) -> None:
        now, window = now_us // 1000, self._breaker.window
        counts = report.success is not None
        if counts:
            slow = report.latency > self.rules.slow
            failed, latency_class = not report.success, class_of(report.latency)
            window.count(now, failed=failed, slow=slow, latency_class=latency_class)
        if report.trip or (counts and window.counts(now).is_sick(self.rules.fail_max)):
            self._open(now_us, failed_probes=0)

    def _open(self, now_us: int, *, failed_probes: int) -> None:
        b, rules, now = self._breaker, self.rules, now_us // 1000
        if b.state is BreakerState.CLOSED and b.rate_until <= now:
            b.rate, b.opened_at = b.window.counts(now).rate_per_s(now), now
        jitter = (now_us % 1000) / 1000
        wait = rules.reset_ms * 2.0 ** min(failed_probes, 9) * (1 + jitter / 10)
        b.state, b.epoch = BreakerState.OPEN, max(b.epoch + 1, now)
        b.probe, b.elected, b.failed_probes = "", "", failed_probes
        b.ends = now + math.floor(min(wait, rules.longest_wait_ms))

    def _close(self, now: int) -> None:
        b = self._breaker
        if b.state is not BreakerState.CLOSED:
            outage_ms = now - b.opened_at
            b.rate_until = now + self.rules.window_ms + 2 * outage_ms
        b.state, b.epoch, b.ends = BreakerState.CLOSED, max(b.epoch + 1, now), 0
        b.probe, b.elected, b.failed_probes, b.released_until = "", "", 0, 0
        b.window.clear()

    def _facts(self, now_us: int) -> Facts:
        b, now = self._breaker, now_us // 1000
        counts = b.window.counts(now)
        is_closed = b.state is BreakerState.CLOSED
        keeps_rate = not is_closed or b.rate_until > now
        return Facts(
            state=b.state,
            epoch=b.epoch,
            wait_ms=0 if is_closed else b.ends - now,
            pause_ms=max(b.resume - now, 0),
            drained=b.drained,
            calls=counts.calls,
            failures=counts.failures,
            rate_per_s=round(b.rate if keeps_rate else counts.rate_per_s(now), 3),
            at_us=now_us,
            latencies=counts.latencies,
            refuses={
                domain: end - now for domain, end in b.refuses.items() if end > now
            },
        )
