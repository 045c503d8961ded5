"""Show one email to its owner."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.email import Email
from ..domain.ports import EmailStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Look an email up; another owner's is as good as none."""

    store: EmailStore

    def __call__(self, email_id: str, *, owner: str) -> Email | None:
        """Return the email, or ``None`` if this owner has none of that id.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        email = self.store.load(email_id)
        return email if email is not None and email.owner == owner else None
