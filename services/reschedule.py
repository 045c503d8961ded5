"""Move a scheduled email to another time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.change import Change
from ..domain.email import Email
from ..domain.errors import HintError
from ..domain.hint import Hint
from ..domain.interventions import rescheduled
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import Clock, EmailStore, Hints
from .changing import change_email


@dataclass(frozen=True, slots=True, kw_only=True)
class Reschedule:
    """Write the new time, then hint at it; an old hint meets the new time."""

    store: EmailStore
    hints: Hints
    clock: Clock
    policy: Policy

    def __call__(
        self, email_id: str, *, to: datetime, owner: str | None = None
    ) -> Email:
        """Move one email.

        Args:
            email_id: Which.
            to: The new time; one that has passed means now.
            owner: Whose it must be; ``None`` for an operator.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: Its time has come, or it is not scheduled.
            StoreUnavailableError: The store did not answer; it may be moved.
        """

        def reschedule(email: Email) -> Change:
            now = self.clock.now()
            return rescheduled(email, to=to, now=now, policy=self.policy)

        email = change_email(self.store, email_id, reschedule, owner=owner)
        wait = max(to - email.updated_at, timedelta(0))
        if wait <= LONGEST_HINT_DELAY:
            with suppress(HintError):  # then the sweep offers it
                self.hints.route(Hint.of(email), delay=wait)
        return email
