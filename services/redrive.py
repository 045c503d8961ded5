"""Redrive an email: let a dead letter go again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from ..domain.change import Change
from ..domain.email import Email
from ..domain.errors import HintError
from ..domain.hint import Hint
from ..domain.interventions import redriven
from ..domain.policy import Policy
from ..domain.ports import Clock, EmailStore, Hints
from .changing import change_email


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Queue a dead letter anew, with a full share of attempts and a new age.

    Also an unknown email that an operator wants sent again, which may be a duplicate:
    the claim of its next attempt records it as one.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    policy: Policy

    def __call__(
        self, email_id: str, *, force: bool = False, owner: str | None = None
    ) -> Email:
        """Redrive one email.

        Args:
            email_id: Which.
            force: Whether one that may be out already is to be sent again.
            owner: Whose it must be; ``None`` for an operator.

        Returns:
            The email as it now waits.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: Its state does not allow it; the message says
                why.
            StoreUnavailableError: The store did not answer; it may be redriven.
        """
        email = self.without_hint(email_id, force=force, owner=owner)
        with suppress(HintError):  # then the sweep offers it
            self.hints.route(Hint.of(email))
        return email

    def without_hint(
        self, email_id: str, *, force: bool = False, owner: str | None = None
    ) -> Email:
        """Redrive one email, and leave it to the caller to hint at it.

        Arguments, result and errors are those of a call.
        """

        def redrive(email: Email) -> Change:
            now = self.clock.now()
            return redriven(email, now=now, policy=self.policy, force=force)

        return change_email(self.store, email_id, redrive, owner=owner)
