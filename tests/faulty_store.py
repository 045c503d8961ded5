"""The twin of the store, which can be away, or lose a write or its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.change import Change
from postroom.domain.email import Email
from postroom.domain.errors import NotStoredError, StoreUnavailableError


class FaultyStore(MemoryStore):
    """A store whose next writes fail: before or after they were applied.

    While it is ``away`` it says so to every verb.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes = Counter[str]()
        self.away = False
        self.fail_before = 0
        self.fail_after = 0
        #: Called before each write: where a rival comes in between.
        self.before_apply: Callable[[Change], None] = lambda _: None

    def insert(self, email: Email) -> None:
        if self.away:
            raise NotStoredError("away")
        super().insert(email)

    def load(self, email_id: str) -> Email | None:
        self._be_here()
        return super().load(email_id)

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        self.before_apply(change)
        self._be_here()
        if self.fail_before:
            self.fail_before -= 1
            raise StoreUnavailableError("not applied")
        self.writes[change.email_id] += 1
        written = super().apply(change, patience=patience)
        if self.fail_after:
            self.fail_after -= 1
            raise StoreUnavailableError("applied, and the reply lost")
        return written

    def apply_all(self, changes: Sequence[Change]) -> Sequence[bool]:
        self._be_here()
        return super().apply_all(changes)

    def due(
        self, before: datetime, *, limit: int, since: datetime | None = None
    ) -> Sequence[Email]:
        self._be_here()
        return super().due(before, limit=limit, since=since)

    def hasten(self, now: datetime, *, before: datetime) -> None:
        self._be_here()
        super().hasten(now, before=before)

    def parked(self, provider: str, *, limit: int) -> Sequence[Email]:
        self._be_here()
        return super().parked(provider, limit=limit)

    def put(self, email: Email) -> Email:
        """Store an email as it is, over whatever is there."""
        self._emails[email.email_id] = email
        return email

    def is_writable(self) -> bool:
        return not self.away

    def _be_here(self) -> None:
        if self.away:
            raise StoreUnavailableError("away")
