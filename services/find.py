"""Look emails up for an operator, who sees those of every owner."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.archive import Archive, DeadLetters, Found, Page, Query
from ..domain.email import Email
from ..domain.ports import EmailStore
from .changing import load_email


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Find one email by its id, or a page of those that fit a query."""

    store: EmailStore
    archive: Archive

    def __call__(self, query: Query, page: Page) -> Found:
        """Return a page of the emails that fit, newest first, without bodies.

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
        return load_email(self.store, email_id, owner=None)

    def dead_letters(self, query: DeadLetters, *, limit: int) -> Found:
        """Return the dead letters that fit, the latest first, without bodies.

        Raises:
            SearchTimeoutError: It was not done in its time: ask for less.
            StoreUnavailableError: The store did not answer.
        """
        return self.archive.dead_letters(query, limit=limit)
