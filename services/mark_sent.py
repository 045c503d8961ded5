"""Mark an email as sent that may be out: a person has found it at the provider."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.email import Email
from ..domain.interventions import marked_sent
from ..domain.ports import Clock, EmailStore
from .changing import change_email


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSent:
    """Settle an email on an operator's word; its attempts stay in doubt."""

    store: EmailStore
    clock: Clock

    def __call__(self, email_id: str) -> Email:
        """Mark one email as sent.

        Args:
            email_id: Which.

        Returns:
            The email as it is settled.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: Nothing of it can be out, or it is being sent or
                settled; the message says which.
            StoreUnavailableError: The store did not answer; it may be marked.
        """
        return change_email(
            self.store,
            email_id,
            lambda email: marked_sent(email, now=self.clock.now()),
            owner=None,
        )
