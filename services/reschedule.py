"""Move a scheduled email to another time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.email import Email
from ..domain.errors import EmailNotFoundError, HintError
from ..domain.hint import Hint
from ..domain.interventions import rescheduled
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import Clock, EmailStore, Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Reschedule:
    """Write the new time, then hint at it; an old hint meets the new time."""

    store: EmailStore
    hints: Hints
    clock: Clock
    policy: Policy

    def __call__(self, email_id: str, *, to: datetime) -> Email:
        """Move one email.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: Its time has come, or it is not scheduled.
            StoreUnavailableError: The store did not answer; it may be moved.
        """
        while True:
            email = self.store.load(email_id)
            if email is None:
                raise EmailNotFoundError(f"there is no email {email_id}")
            now = self.clock.now()
            change = rescheduled(email, to=to, now=now, policy=self.policy)
            if self.store.apply(change):
                break
        wait = max(to - now, timedelta(0))
        if wait <= LONGEST_HINT_DELAY:
            with suppress(HintError):  # then the sweep offers it
                self.hints.route(Hint.of(change.after), delay=wait)
        return change.after
