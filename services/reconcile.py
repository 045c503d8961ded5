"""Settle an email whose lease, or whose wait for word of it, is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..domain.email import Email, State
from ..domain.policy import Policy
from ..domain.ports import Clock, EmailStore, Hints
from ..domain.settling import lapse
from .next_step import Done, NextStep, follow_up

log = logging.getLogger(__name__)


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
            if written and change.before.state is State.SENDING:
                _tell(change.after)
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


def _tell(email: Email) -> None:
    """Log that the lease of an attempt ran out: its worker is gone, or stuck."""
    attempt = email.attempts[-1]
    log.warning(
        "email.lapsed",
        extra={
            "email_id": email.email_id,
            "attempt": attempt.no,
            "provider": attempt.provider,
            "state": email.state.value,
        },
    )
