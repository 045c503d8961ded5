"""Redrive many dead letters at once, after what killed them was mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from ..domain.archive import Archive, DeadLetters
from ..domain.email import Email
from ..domain.errors import (
    ClockUnsureError,
    EmailNotFoundError,
    ForbiddenTransitionError,
    HintError,
    InvalidValueError,
    StoreUnavailableError,
)
from ..domain.hint import Hint
from ..domain.ports import Hints
from .redrive import Redrive

#: Most dead letters of one replay. Each is a write; whoever has more asks again, and
#: sees in between how it goes.
MOST = 1_000

#: Emails that are hinted at together.
BATCH = 100


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
    hints: Hints
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
        waiting: list[Email] = []
        refused: dict[str, str] = {}
        stopped = None
        for email_id in ids:
            try:
                email = self.redrive.without_hint(email_id, owner=owner)
            except (EmailNotFoundError, ForbiddenTransitionError) as ex:
                refused[email_id] = str(ex)
            except (StoreUnavailableError, ClockUnsureError) as ex:
                stopped = str(ex)
                break
            else:
                waiting.append(email)
            if len(waiting) == BATCH:
                replayed += self._hint(waiting)
                waiting.clear()
        replayed += self._hint(waiting)
        return Replayed(
            found=len(ids),
            has_more=has_more,
            replayed=tuple(replayed),
            refused=refused,
            stopped=stopped,
        )

    def _hint(self, emails: Sequence[Email]) -> list[str]:
        if emails:
            with suppress(HintError):  # then the sweep offers them
                self.hints.route_all([(Hint.of(e), timedelta(0)) for e in emails])
        return [email.email_id for email in emails]
