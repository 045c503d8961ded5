"""Accept an email: check that it can be carried, store it, then hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ..domain.acceptance import NewEmail, accept
from ..domain.email import Email
from ..domain.errors import (
    ClockUnsureError,
    HintError,
    NotStoredError,
    UncarriableError,
)
from ..domain.hint import Hint
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import Chance, Clock, EmailStore, Hints
from ..domain.ports_conservation import Ledger, Uncounted
from ..domain.routing import ProviderProfile
from .carriable import why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Take responsibility for an email.

    When it returns the email is durable on a majority; whether the hint got through
    does not matter to that.

    Attributes:
        ledger: Counts what was accepted, so that a loss can be seen.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    chance: Chance
    profiles: Sequence[ProviderProfile]
    policy: Policy
    ledger: Ledger = field(default_factory=Uncounted)

    def __call__(self, new: NewEmail) -> Email:
        """Store a new email and offer it to the router.

        Raises:
            UncarriableError: No configured provider could ever carry it.
            NotStoredError: It is known not to be stored.
            StorageUnsureError: Nobody could find out whether it is stored.
        """
        try:
            now = self.clock.now()
        except ClockUnsureError as ex:
            raise NotStoredError("the store has not been seen lately") from ex
        reasons = why_not(new, self.profiles, now=now)
        if reasons is not None:
            raise UncarriableError(reasons)
        email = accept(
            new,
            email_id=self.chance.email_id(),
            now=now,
            policy=self.policy,
        )
        self.store.insert(email)
        self.ledger.accepted(email.email_id)
        self._hint(email)
        return email

    def _hint(self, email: Email) -> None:
        wait = (email.not_before or email.created_at) - email.created_at
        if wait > LONGEST_HINT_DELAY:
            return  # the sweep offers it when its time comes
        try:
            self.hints.route(Hint.of(email), delay=max(wait, timedelta(0)))
        except HintError:
            return  # the email is safe: the sweep offers whatever is due
