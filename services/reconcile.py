"""Settle an email whose lease, or whose wait for word of it, is over."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.policy import Policy
from ..domain.ports import Clock, EmailStore, Hints
from ..domain.settling import lapse
from .next_step import Done, NextStep, follow_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Take an email on from where nobody has it in hand any more."""

    store: EmailStore
    hints: Hints
    clock: Clock
    policy: Policy

    def __call__(self, email_id: str) -> NextStep:
        """Settle one email, as far as its time has come.

        Raises:
            StoreUnavailableError: The store did not answer; the sweep asks again.
        """
        email = self.store.load(email_id)
        settled = None
        while email is not None:
            change = lapse(email, now=self.clock.now(), policy=self.policy)
            if change is None:
                break
            # A lease and the wait after it may both be over: go on until neither is.
            written = self.store.apply(change)
            settled = change.after if written else settled
            email = change.after if written else self.store.load(email_id)
        if settled is None:
            return Done()
        return follow_up(
            settled,
            provider=None,
            now=self.clock.now(),
            hints=self.hints,
        )
