"""pybreaker's circuit breakers, made fit to be shared by processes and threads.

Stock pybreaker holds a lock during the guarded call, lets several probes through and
counts interrupts as failures (docs/adr/0010-shared-breaker.md). Here the storage
decides, in one step of its own: it admits a call and takes its result. State names,
errors and listeners stay pybreaker's.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar, assert_never

import pybreaker
import structlog

from ..domain.ports import Denied, Permit, Report
from ..domain.routing import BreakerState
from .breaker_facts import Admission, Facts, Order, Rules, Verdict, denied

T = TypeVar("T")

_LOG = structlog.get_logger(__name__)

_PYBREAKER_NAMES = {
    BreakerState.CLOSED: pybreaker.STATE_CLOSED,
    BreakerState.OPEN: pybreaker.STATE_OPEN,
    BreakerState.HALF_OPEN: pybreaker.STATE_HALF_OPEN,
}

_OUR_NAMES = {theirs: ours.value for ours, theirs in _PYBREAKER_NAMES.items()}

_ORDERS = {
    pybreaker.STATE_CLOSED: Order.RESET,
    pybreaker.STATE_OPEN: Order.TRIP,
}


class LeasedStorage(pybreaker.CircuitBreakerStorage, ABC):
    """A breaker's state, with whole decisions instead of counters.

    Every method is atomic over all that share the storage, and none is slow. Those
    that ask Redis may raise ``redis.RedisError``; ``state`` never asks.
    """

    def __init__(self, name: str, rules: Rules) -> None:
        super().__init__(name)
        self.rules = rules

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is known of the breaker, without asking anybody."""

    @abstractmethod
    def admit(self, token: str, *, probe: bool) -> Admission:
        """Let a call pass, make it the probe under ``token``, or deny it."""

    @abstractmethod
    def settle(self, permit: Permit, report: Report) -> Facts:
        """Take the result of a call that was admitted."""

    @abstractmethod
    def elect(self, email_id: str) -> bool:
        """Return whether this email is the next probe, as ``BreakerBoard`` says."""

    @abstractmethod
    def may_release(self, every: timedelta) -> bool:
        """Return whether this call is the one of all in ``every``."""

    @abstractmethod
    def pause(self, wait: timedelta) -> Facts:
        """Deny all calls for ``wait``, or for longer if that was said before."""

    @abstractmethod
    def refuse(self, from_domain: str) -> Facts:
        """Remember that the provider refused this From domain."""

    @abstractmethod
    def order(self, order: Order) -> Facts:
        """Do what an operator says."""

    @property
    def state(self) -> str:
        """The last known state, by pybreaker's name for it."""
        return _PYBREAKER_NAMES[self.facts.state]

    @state.setter
    def state(self, state: str) -> None:
        if state not in _ORDERS:
            raise ValueError(f"only a probe makes a breaker half-open, got {state!r}")
        self.order(_ORDERS[state])

    @property
    def counter(self) -> int:
        """Failed and slow calls in the window."""
        return self.facts.failures

    @property
    def success_counter(self) -> int:
        """Always 0: one good probe closes."""
        return 0

    @property
    def opened_at(self) -> datetime | None:
        """Always ``None``: the storage knows by its own clock when to probe."""
        return None

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        """Do nothing: the storage has its own clock."""

    def increment_counter(self) -> None:
        """Do nothing: ``settle`` counts."""

    def reset_counter(self) -> None:
        """Do nothing: pybreaker calls it when it only *notices* a closed state."""

    def increment_success_counter(self) -> None:
        """Do nothing: one good probe closes."""

    def reset_success_counter(self) -> None:
        """Do nothing: one good probe closes."""


def says_nothing(permit: Permit, report: Report) -> bool:
    """Return whether a result changes no breaker, so that no trip is needed."""
    return not permit.is_probe and report.success is None and not report.trip


class LogChanges(pybreaker.CircuitBreakerListener):
    """Logs each change of state that this process notices, once."""

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        """Log it."""
        old = _OUR_NAMES[old_state.name] if old_state else None
        new = _OUR_NAMES[new_state.name]
        _LOG.warning("breaker.changed", provider=cb.name, old=old, new=new)


class SharedBreaker(pybreaker.CircuitBreaker):
    """One provider's breaker. No lock is held during a call to the provider."""

    def __init__(self, storage: LeasedStorage) -> None:
        self.storage = storage
        super().__init__(
            fail_max=storage.rules.fail_max,
            reset_timeout=storage.rules.reset_ms / 1000,
            listeners=[LogChanges()],
            state_storage=storage,
            name=storage.name,
        )

    def permit(self, *, probe: bool) -> Permit | Denied:
        """Ask for the right to one call."""
        token = uuid.uuid4().hex
        admission = self.storage.admit(token, probe=probe)
        self.notice()
        name, facts = self.storage.name, admission.facts
        match admission.verdict:
            case Verdict.PASS:
                return Permit(provider=name, token="", epoch=facts.epoch)
            case Verdict.PROBE:
                return Permit(provider=name, token=token, epoch=facts.epoch)
            case Verdict.DENY:
                return denied(name, facts, self.storage.rules)
            case _:
                assert_never(admission.verdict)

    def report(self, permit: Permit, report: Report) -> BreakerState:
        """Tell what came of a call, and return the state after it."""
        if says_nothing(permit, report):
            return self.storage.facts.state
        facts = self.storage.settle(permit, report)
        self.notice()
        return facts.state

    def notice(self) -> None:
        """Have pybreaker tell its listeners if the known state is another one."""
        if self._state.name == self.current_state:
            return
        with self._lock:  # so that only one thread of those who see it tells
            current = self.current_state
            if current != self._state.name:
                self.state = current

    def follow(self) -> None:
        """Take the known state over without telling any listener."""
        with self._lock:
            self._state = self._create_new_state(self.current_state)

    @contextlib.contextmanager
    def calling(self) -> Iterator[Permit]:
        """Guard the block inside ``with``, as the only use of one breaker.

        Raises:
            CircuitBreakerError: The breaker denies the call.
        """
        permit = self.permit(probe=True)
        if isinstance(permit, Denied):
            raise pybreaker.CircuitBreakerError(f"denied for {permit.wait}")
        started, success = time.monotonic(), None
        try:
            yield permit
        except Exception as ex:
            success = False if self.is_system_error(ex) else None
            raise
        else:
            success = True
        finally:  # an interrupt says nothing about the provider: neutral
            latency = timedelta(seconds=time.monotonic() - started)
            self.report(permit, Report(success=success, latency=latency))

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call ``func``, guarded. Raises as ``calling`` does."""
        with self.calling():
            return func(*args, **kwargs)
