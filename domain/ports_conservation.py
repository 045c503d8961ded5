"""What the conservation check needs of the store, and of whoever accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from .conservation import Contradiction, Group


class Ledger(Protocol):
    """Counts what was accepted, apart from the emails themselves."""

    def accepted(self, email_id: str) -> None:
        """Note that an email was stored and its client is told so. Never raises.

        It is written down a little later, with others. A process that is killed
        before has counted too few; nothing makes it count too many.
        """
        ...


class Uncounted:
    """A ``Ledger`` that nobody reads."""

    def accepted(self, email_id: str) -> None:
        """Forget it."""


class Books(Protocol):
    """What the ledger and the stored emails say; nothing here writes.

    Everything is bounded in time.

    Raises:
        SearchTimeoutError: From any method: it was not done in its time.
        StoreUnavailableError: From any method: the store did not answer.
    """

    def accepted(self, since: datetime) -> Mapping[datetime, int]:
        """Return how many emails the ledger has, by hour, from ``since`` on."""
        ...

    def stored(self, since: datetime) -> Mapping[datetime, int]:
        """Return how many emails there are, by the hour of their ids."""
        ...

    def unsettled(self) -> Sequence[Group]:
        """Return all emails that are open, held or astray, whatever their age."""
        ...

    def oldest_due(self, before: datetime) -> datetime | None:
        """Return the earliest ``due_since`` of the open emails, or ``None``.

        Args:
            before: Emails whose ``due_at`` is later need not be looked at.
        """
        ...

    def contradictions(
        self, since: datetime, *, limit: int
    ) -> Sequence[tuple[str, Contradiction]]:
        """Return ids of emails that contradict themselves, and how, oldest first.

        It reads every email from ``since`` on, so it is for the operator's check.

        Args:
            since: The beginning of an hour; see ``hour_of``.
            limit: At most so many.
        """
        ...
