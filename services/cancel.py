"""Cancel an email while nothing of it was sent."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.email import Email
from ..domain.interventions import cancelled
from ..domain.ports import Clock, EmailStore
from .changing import change_email


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Take an email back, in one guarded write: no claim can come between."""

    store: EmailStore
    clock: Clock

    def __call__(
        self, email_id: str, *, force: bool = False, owner: str | None = None
    ) -> Email:
        """Cancel one email.

        Args:
            email_id: Which.
            force: Whether one that may be out already is to be cancelled all the same.
            owner: Whose it must be; ``None`` for an operator.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: It is being sent or settled; the message says
                which.
            StoreUnavailableError: The store did not answer; it may be cancelled.
        """
        return change_email(
            self.store,
            email_id,
            lambda email: cancelled(email, now=self.clock.now(), force=force),
            owner=owner,
        )
