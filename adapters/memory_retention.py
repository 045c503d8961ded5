"""The in-memory twin of retention, over the twin of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..domain.change import Change
from ..domain.email import Email
from ..domain.idempotency import KEEP_KEY, LOOK_AGAIN
from ..domain.retention import without_bodies
from .memory_books import MemoryLedger
from .memory_store import MemoryStore


class MemoryRetention(MemoryStore):
    """Implements ``Retention``, and ``EmailStore`` as `MemoryStore` does.

    Attributes:
        ledger: Its lines go with the records of their hours.
        payloads: When each payload was stored. Memory keeps an email in one piece, so
            there are only those that a test puts here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.payloads: dict[str, datetime] = {}
        self._look_at: dict[str, datetime] = {}

    def final_before(self, instant: datetime, *, limit: int) -> Sequence[Email]:
        """Return what has been final for long, oldest first."""
        found = [
            (email.final_at, email.email_id, email)
            for email in self._emails.copy().values()
            if email.is_final and email.final_at and email.final_at <= instant
        ]
        return [replace(e, content=None) for _, _, e in sorted(found)[:limit]]

    def erase(self, changes: Sequence[Change]) -> int:
        """Write those changes whose guard holds, without bodies."""
        return sum(self._erase(change) for change in changes)

    def remove_expired(self, now: datetime, *, limit: int) -> int:
        """Remove records whose time has come."""
        with self._lock:
            ids = [
                email.email_id
                for email in self._emails.values()
                if email.is_final and email.expires_at and email.expires_at <= now
            ]
            self.ledger.forget(ids[:limit])
            for email_id in ids[:limit]:
                del self._emails[email_id]
            return len(ids[:limit])

    def remove_orphans(self, before: datetime, *, limit: int) -> int:
        """Remove payloads that no email refers to; each call looks at all."""
        del limit
        with self._lock:
            orphans = [
                email_id
                for email_id, at in self.payloads.items()
                if at < before and not self._is_wanted(email_id)
            ]
            for email_id in orphans:
                del self.payloads[email_id]
            return len(orphans)

    def remove_keys(self, now: datetime, *, limit: int) -> int:
        """Remove keys that are old, and none of whose emails is open."""
        with self._lock:
            looked_at = self._look_at | {
                name: receipt.at + KEEP_KEY
                for name, receipt in self._receipts.items()
                if name not in self._look_at
            }
            due = sorted((at, name) for name, at in looked_at.items() if at <= now)
            removed = 0
            for _, name in due[:limit]:
                if any(map(self._is_open, self._receipts[name].email_ids)):
                    self._look_at[name] = now + LOOK_AGAIN
                    continue
                del self._receipts[name]
                self._look_at.pop(name, None)
                removed += 1
            return removed

    def _is_open(self, email_id: str) -> bool:
        email = self._emails.get(email_id)
        return email is not None and not email.is_final

    def _erase(self, change: Change) -> bool:
        with self._lock:
            stored = self._emails.get(change.email_id)
            if stored is None or not change.guard.admits(stored):
                return False
            self._emails[change.email_id] = replace(
                change.after,
                content=stored.content and without_bodies(stored.content),
            )
            self.payloads.pop(change.email_id, None)
            return True

    def _is_wanted(self, email_id: str) -> bool:
        email = self._emails.get(email_id)
        return email is not None and not (email.is_final and email.erased_at)
