"""The breaker board of one process: when Redis is away, and the twin for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ..domain.ports import BreakerView, Clock, Denied, Permit, Report
from ..domain.routing import BreakerState, Health
from .breaker_facts import Facts, Order, Rules, SureClock, health_of, view_of
from .breaker_memory import LeasedMemoryStorage
from .breakers import SharedBreaker


class MemoryBreakerBoard:
    """The ``BreakerBoard`` of one process.

    Args:
        names: The configured providers. Any other name is a ``KeyError``.
        fail_max: Failures, or slow calls, in the window that open a breaker if they
            are at least half of its calls.
        reset: The first wait before a probe; doubles with each failed one, up to 8
            times.
        window: How far back calls count.
        timeout: Of one call to a provider: what is slow and how long a probe's lease
            is follow from it.
        clock: Waits are counted by its monotonic side.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        fail_max: int,
        reset: timedelta,
        window: timedelta,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        rules = Rules.of(fail_max=fail_max, reset=reset, window=window, timeout=timeout)
        self._clock = SureClock(clock)
        self._storages = {
            name: LeasedMemoryStorage(name, rules, clock=clock) for name in names
        }
        self.breakers = {
            name: SharedBreaker(storage) for name, storage in self._storages.items()
        }

    @property
    def is_shared(self) -> bool:
        """Always ``True``: there is nobody else to share with."""
        return True

    def adopt(self, provider: str, facts: Facts, *, age_s: float) -> None:
        """Go on from what was seen of a shared breaker, ``age_s`` seconds ago."""
        self._storages[provider].adopt(facts, age_s=age_s)
        self.breakers[provider].follow()

    def health(self, provider: str) -> Health:
        """Return how a provider does."""
        return health_of(self._storages[provider].facts, self._clock.now())

    def view(self, provider: str) -> BreakerView:
        """Return the present state as operators see it."""
        return view_of(self._storages[provider].facts, self._clock.now())

    def permit(self, provider: str, *, probe: bool) -> Permit | Denied:
        """Ask for the right to one call."""
        return self.breakers[provider].permit(probe=probe)

    def report(self, permit: Permit, report: Report) -> BreakerState:
        """Tell what came of the call, and return the state after it."""
        return self.breakers[permit.provider].report(permit, report)

    def elect_probe(self, provider: str, email_id: str) -> bool:
        """Return whether this email is to be the provider's next probe."""
        return self._storages[provider].elect(email_id)

    def may_release(self, provider: str, *, every: timedelta) -> bool:
        """Return whether a slice of parked emails may be let go now."""
        return self._storages[provider].may_release(every)

    def pause(self, provider: str, *, wait: timedelta) -> None:
        """Keep all from calling a provider for ``wait``, an hour at most."""
        self._storages[provider].pause(wait)

    def remember_refused_sender(self, provider: str, from_domain: str) -> None:
        """Keep emails of this From domain from a provider for ten minutes."""
        self._storages[provider].refuse(from_domain)

    def trip(self, provider: str) -> bool:
        """Open a breaker by hand; it is probed like any other."""
        return self.order(provider, Order.TRIP)

    def reset(self, provider: str) -> bool:
        """Close a breaker by hand, and end a pause."""
        return self.order(provider, Order.RESET)

    def drain(self, provider: str) -> bool:
        """Take a provider out of use until ``resume``."""
        return self.order(provider, Order.DRAIN)

    def resume(self, provider: str) -> bool:
        """Take a drained or paused provider into use again."""
        return self.order(provider, Order.RESUME)

    def order(self, provider: str, order: Order) -> bool:
        """Do what an operator says; always ``True``: there is nobody else to tell."""
        self._storages[provider].order(order)
        self.breakers[provider].notice()
        return True
