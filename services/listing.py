"""List emails to their owner."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..domain.archive import Archive, DeadLetters, Found, Page, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Give one owner's emails, page by page; another owner's are not there."""

    archive: Archive

    def __call__(self, query: Query, page: Page, *, owner: str) -> Found:
        """Return a page of the emails that fit, newest first, without bodies.

        Raises:
            SearchTimeoutError: It was not done in its time.
            StoreUnavailableError: The store did not answer.
        """
        return self.archive.find(replace(query, owner=owner), page)

    def dead_letters(self, query: DeadLetters, page: Page, *, owner: str) -> Found:
        """Return a page of the dead letters that fit, newest email first.

        Raises:
            SearchTimeoutError: It was not done in its time.
            StoreUnavailableError: The store did not answer.
        """
        return self.archive.dead_page(replace(query, owner=owner), page)
