"""The in-memory twin of the store: the same contract, for tests and trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

from ..domain.change import Change
from ..domain.email import CLAIMABLE, Email, Priority
from ..domain.idempotency import Receipt


class MemoryStore:
    """Implements ``EmailStore`` and ``Intake`` over dictionaries.

    Emails are frozen values, so handing them out needs no copy; the lock makes a
    guarded write as atomic as the real one.
    """

    def __init__(self) -> None:
        self._emails: dict[str, Email] = {}
        self._receipts: dict[str, Receipt] = {}
        self._lock = Lock()

    def insert(self, email: Email) -> None:
        """Store a new email; one that is there already stays as it is."""
        with self._lock:
            self._emails.setdefault(email.email_id, email)

    def recall(self, name: str) -> Receipt | None:
        """Return what is kept under a key."""
        return self._receipts.get(name)

    def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
        """Store new emails and their receipt, unless the key has one already."""
        with self._lock:
            if receipt.has_key:
                kept = self._receipts.setdefault(receipt.name, receipt)
                if kept.email_ids != receipt.email_ids:
                    return kept
            for email in emails:
                self._emails.setdefault(email.email_id, email)
            return receipt

    def load(self, email_id: str) -> Email | None:
        """Return the email with its content."""
        return self._emails.get(email_id)

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        """Write a change if its guard holds."""
        del patience  # memory is never away
        with self._lock:
            stored = self._emails.get(change.email_id)
            if stored is None:
                return False
            if not change.guard.admits(stored):
                return change.is_in(stored)
            # A change made from a read without content must not lose the content.
            self._emails[change.email_id] = replace(
                change.after,
                content=stored.content,
            )
            return True

    def apply_all(self, changes: Sequence[Change]) -> Sequence[bool]:
        """Write several changes; see ``EmailStore.apply_all``."""
        return [self.apply(change) for change in changes]

    def due(
        self, before: datetime, *, limit: int, since: datetime | None = None
    ) -> Sequence[Email]:
        """Return what is due, earliest first; see ``EmailStore.due``."""
        found = [e for e in self._emails.copy().values() if e.due_at is not None]
        due = [e for e in found if e.due_at is not None and e.due_at <= before]
        if since is not None:
            due = [e for e in due if _is_fresh(e, since)]
        due.sort(key=lambda email: email.due_at or before)
        return [replace(email, content=None) for email in due[:limit]]

    def hasten(self, now: datetime, *, before: datetime) -> None:
        """Make due now what may be claimed before an instant and is not parked."""
        with self._lock:
            for key, email in self._emails.items():
                is_later = email.due_at is not None and email.due_at > now
                is_open = email.state in CLAIMABLE and not email.parked_for
                if is_later and is_open and _is_before(email, before):
                    self._emails[key] = replace(email, due_at=now)

    def parked(self, provider: str, *, limit: int) -> Sequence[Email]:
        """Return what is parked for a provider, oldest first."""
        found = [e for e in self._emails.copy().values() if provider in e.parked_for]
        found.sort(key=lambda email: email.email_id)
        return [replace(email, content=None) for email in found[:limit]]

    def all(self) -> list[Email]:
        """Return every email with its content."""
        return list(self._emails.copy().values())

    def is_writable(self) -> bool:
        """Return ``True``: memory is always there."""
        return True


def _is_before(email: Email, instant: datetime) -> bool:
    return email.not_before is not None and email.not_before < instant


def _is_fresh(email: Email, since: datetime) -> bool:
    is_late = email.due_at is not None and email.due_at > since
    return is_late and not email.offers and email.priority is not Priority.LOW
