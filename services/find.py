"""Look emails up for an operator, who sees those of every owner."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.archive import Archive, DeadLetters, Found, Page, Query
from ..domain.email import Email
from ..domain.errors import EmailNotFoundError
from ..domain.ports import EmailStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Find one email by its id, or a page of those that fit a query."""

    store: EmailStore
    archive: Archive

    def __call__(self, query: Query, page: Page) -> Found:
        """Return a page of the emails that fit, newest first, without content.

        Raises:
            SearchTimeoutError: It was not done in its time: ask for less.
            StoreUnavailableError: The store did not answer.
        """
        return self.archive.find(query, page)

    def one(self, email_id: str) -> Email:
        """Return the email of this id with its content.

        Raises:
            EmailNotFoundError: There is none.
            StoreUnavailableError: The store did not answer.
        """
        email = self.store.load(email_id)
        if email is None:
            raise EmailNotFoundError(f"there is no email {email_id}")
        return email

    def dead_letters(self, query: DeadLetters, *, limit: int) -> Found:
        """Return the dead letters that fit, the latest first, without content.

        Raises:
            SearchTimeoutError: It was not done in its time: ask for less.
            StoreUnavailableError: The store did not answer.
        """
        return self.archive.dead_letters(query, limit=limit)
