"""Check the conservation: what was accepted is final, open or held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ..domain.conservation import (
    HOUR,
    Contradiction,
    Position,
    accounts_of,
    start_of_hour,
)
from ..domain.errors import InvalidValueError, SearchTimeoutError
from ..domain.policy import LONGEST_OFFER_WAIT, Policy
from ..domain.ports import Clock
from ..domain.ports_conservation import Books

#: Hours that are looked at unless others are asked for: the present one and those
#: before it.
HOURS = 24

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Compare the ledger with the stored emails; nothing is changed."""

    books: Books
    clock: Clock
    policy: Policy

    def __call__(self, *, hours: int = HOURS) -> Position:
        """Return how all email stands.

        The parts are read one after the other, the ledger first, while email goes on:
        what moves in between may be counted in the condition that it left.

        Args:
            hours: How many to account for, the present one included.

        Raises:
            InvalidValueError: So long ago records may have been removed.
            StoreUnavailableError: The store did not answer.
            ClockUnsureError: The store's time is not known.
        """
        now = self.clock.now()
        since = self._since(now, hours=hours)
        accepted = _in_time(lambda: self.books.accepted(since))
        oldest = _in_time(lambda: self._oldest_due(now))
        groups = _in_time(self.books.unsettled)
        stored = _in_time(lambda: self.books.stored(since))
        accounts = None
        if accepted is not None and groups is not None and stored is not None:
            accounts = accounts_of(
                [since + HOUR * number for number in range(hours)],
                accepted=accepted,
                stored=stored,
                groups=groups,
            )
        return Position(
            accounts=accounts,
            groups=None if groups is None else tuple(groups),
            oldest_due=oldest,
        )

    def contradictions(
        self, *, hours: int = HOURS, limit: int
    ) -> Sequence[tuple[str, Contradiction]]:
        """Return emails that contradict themselves; it reads all of these hours.

        Raises:
            InvalidValueError: So long ago records may have been removed.
            SearchTimeoutError: There are too many to be read in time.
            StoreUnavailableError: The store did not answer.
            ClockUnsureError: The store's time is not known.
        """
        since = self._since(self.clock.now(), hours=hours)
        return self.books.contradictions(since, limit=limit)

    def _since(self, now: datetime, *, hours: int) -> datetime:
        """Return when the first of the hours began."""
        most = self.policy.keep_email // HOUR
        if not 1 <= hours <= most:
            raise InvalidValueError(
                f"hours must be 1 to {most}, got {hours}: older records are removed"
            )
        return start_of_hour(now) - HOUR * (hours - 1)

    def _oldest_due(self, now: datetime) -> timedelta:
        # What was offered is due again after this, what was not is due earlier.
        due = self.books.oldest_due(now + LONGEST_OFFER_WAIT)
        return timedelta(0) if due is None else max(timedelta(0), now - due)


def _in_time(read: Callable[[], T]) -> T | None:
    """Return what was read, or ``None`` if it would have taken too long."""
    try:
        return read()
    except SearchTimeoutError:
        return None
