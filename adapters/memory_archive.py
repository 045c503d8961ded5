"""The in-memory twin of the archive: the same contract, over `MemoryStore`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..domain.archive import Counts, DeadLetters, Found, Page, Query
from ..domain.email import Email
from ..domain.retention import without_bodies
from .memory_store import MemoryStore


class MemoryArchive:
    """Implements ``Archive`` over the emails of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def find(self, query: Query, page: Page) -> Found:
        """Return the emails that fit, newest first."""
        return self._page(query, page)

    def counts(self) -> Counts:
        """Count all emails."""
        emails = self._all()
        return Counts(
            by_state=Counter(email.state for email in emails),
            held=sum(email.is_held for email in emails),
        )

    def dead_letters(
        self,
        query: DeadLetters,
        *,
        limit: int,
        oldest_first: bool = False,
    ) -> Found:
        """Return the dead letters that fit, by when they became that."""
        fitting = sorted(
            (email for email in self._all() if query.admits(email)),
            key=lambda email: (email.dead_at, email.email_id),
            reverse=not oldest_first,
        )
        return Found(
            emails=tuple(_listed(email) for email in fitting[:limit]),
            has_more=len(fitting) > limit,
        )

    def dead_page(self, query: DeadLetters, page: Page) -> Found:
        """Return a page of the dead letters that fit, newest email first."""
        return self._page(query, page)

    def dead_count(self, query: DeadLetters) -> int:
        """Count the dead letters that fit."""
        return sum(query.admits(email) for email in self._all())

    def parked_count(self, provider: str) -> int:
        """Count the emails that are parked for a provider."""
        return sum(provider in email.parked_for for email in self._all())

    def _page(self, query: Query | DeadLetters, page: Page) -> Found:
        fitting = sorted(
            (email for email in self._all() if query.admits(email)),
            key=lambda email: email.email_id,
            reverse=True,
        )
        if page.after is not None:
            fitting = [e for e in fitting if e.email_id < page.after]
        if page.before is not None:
            fitting = [e for e in fitting if e.email_id > page.before]
        shown = fitting[-page.limit :] if page.before else fitting[: page.limit]
        return Found(
            emails=tuple(_listed(email) for email in shown),
            has_more=len(fitting) > page.limit,
        )

    def _all(self) -> list[Email]:
        return self._store.all()


def _listed(email: Email) -> Email:
    return replace(email, content=email.content and without_bodies(email.content))
