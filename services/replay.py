"""Redrive many dead letters at once, after what killed them was mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..domain.archive import Archive, DeadLetters
from ..domain.errors import (
    ClockUnsureError,
    EmailNotFoundError,
    ForbiddenTransitionError,
    InvalidValueError,
    StoreUnavailableError,
)
from .redrive import Redrive

#: Most dead letters of one replay. Each is a write and a hint; whoever has more asks
#: again, and sees in between how it goes.
MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay came to.

    Attributes:
        found: How many dead letters fit, up to the limit.
        has_more: Whether more of them fit.
        replayed: The ids of those that go again.
        refused: Why others do not, by id.
        stopped: Why it did not get to the end, or ``None``.
    """

    found: int
    has_more: bool
    replayed: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    stopped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Redrive the dead letters that fit, the oldest first.

    One that may be out already is left alone: that is for a person to decide, one by
    one.
    """

    archive: Archive
    redrive: Redrive

    def __call__(
        self,
        query: DeadLetters,
        *,
        limit: int,
        dry_run: bool = False,
    ) -> Replayed:
        """Redrive dead letters.

        Args:
            query: Which, and whose.
            limit: How many at most, 1 to ``MOST``.
            dry_run: Only count them.

        Raises:
            InvalidValueError: The limit is out of range.
            SearchTimeoutError: They were not found in time: ask for less.
            StoreUnavailableError: The store did not answer: nothing was done.
        """
        if not 1 <= limit <= MOST:
            raise InvalidValueError(f"limit must be 1 to {MOST}, got {limit}")
        found = self.archive.dead_letters(query, limit=limit, oldest_first=True)
        ids = [email.email_id for email in found.emails]
        if dry_run:
            return Replayed(found=len(ids), has_more=found.has_more)
        return self._redrive_all(ids, owner=query.owner, has_more=found.has_more)

    def _redrive_all(
        self, ids: list[str], *, owner: str | None, has_more: bool
    ) -> Replayed:
        replayed: list[str] = []
        refused: dict[str, str] = {}
        stopped = None
        for email_id in ids:
            try:
                self.redrive(email_id, owner=owner)
            except (EmailNotFoundError, ForbiddenTransitionError) as ex:
                refused[email_id] = str(ex)
            except (StoreUnavailableError, ClockUnsureError) as ex:
                stopped = str(ex)
                break
            else:
                replayed.append(email_id)
        return Replayed(
            found=len(ids),
            has_more=has_more,
            replayed=tuple(replayed),
            refused=refused,
            stopped=stopped,
        )
