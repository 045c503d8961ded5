"""The in-memory twins of ledger and books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from threading import Lock

from ..domain.conservation import (
    Condition,
    Contradiction,
    Group,
    condition_of,
    contradiction_of,
    due_since,
    hour_of,
)
from .memory_store import MemoryStore


class MemoryLedger:
    """Implements ``Ledger``.

    Attributes:
        counts: By hour.
    """

    def __init__(self) -> None:
        self.counts: Counter[datetime] = Counter()
        self._lock = Lock()

    def accepted(self, email_id: str) -> None:
        """Count an accepted email at once."""
        with self._lock:
            self.counts[hour_of(email_id)] += 1

    def forget(self, email_ids: Iterable[str]) -> None:
        """Forget the hours of these emails."""
        with self._lock:
            for email_id in email_ids:
                self.counts.pop(hour_of(email_id), None)


class MemoryBooks:
    """Implements ``Books`` over the twins of ledger and store."""

    def __init__(self, ledger: MemoryLedger, store: MemoryStore) -> None:
        self._ledger = ledger
        self._store = store

    def accepted(self, since: datetime) -> Mapping[datetime, int]:
        """Return how many emails the ledger has, by hour."""
        counts = self._ledger.counts
        return {hour: counts[hour] for hour in counts if hour >= since}

    def stored(self, since: datetime) -> Mapping[datetime, int]:
        """Return how many emails there are, by the hour of their ids."""
        hours = (hour_of(email.email_id) for email in self._store.all())
        return Counter(hour for hour in hours if hour >= since)

    def unsettled(self) -> Sequence[Group]:
        """Return all emails that are open, held or astray."""
        counts = Counter(
            (hour_of(email.email_id), email.state.value, condition_of(email))
            for email in self._store.all()
        )
        return [
            Group(hour=hour, state=state, condition=condition, count=count)
            for (hour, state, condition), count in counts.items()
            if condition is not Condition.FINAL
        ]

    def oldest_due(self, before: datetime) -> datetime | None:
        """Return the earliest ``due_since`` of the open emails, or ``None``."""
        near = (e for e in self._store.all() if e.due_at and e.due_at <= before)
        found = [since for email in near if (since := due_since(email))]
        return min(found, default=None)

    def contradictions(
        self, since: datetime, *, limit: int
    ) -> Sequence[tuple[str, Contradiction]]:
        """Return ids of emails that contradict themselves, and how."""
        found = [
            (email.email_id, contradiction)
            for email in self._store.all()
            if hour_of(email.email_id) >= since
            and (contradiction := contradiction_of(email))
        ]
        return sorted(found)[:limit]
