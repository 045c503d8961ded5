"""What happened to an email, in order: only what its record tells.

A record keeps no log. It has the time of each attempt and of its result, of the last
redrive and of the end; of being parked or moved there is no time, and so no event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .email import Attempt, Email, State


class EventKind(StrEnum):
    """What happened."""

    #: It was accepted for now, or for later, and stored.
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    #: It was claimed for a provider.
    ATTEMPTED = "attempted"
    #: What came of that, by the words of an outcome.
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    #: The attempt began while an earlier one may be out.
    POSSIBLE_DUPLICATE = "possible_duplicate"
    #: The attempt was accepted for somebody who has it already.
    CONFIRMED_DUPLICATE = "confirmed_duplicate"
    REDRIVEN = "redriven"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an email.

    Attributes:
        attempt: The number of the attempt that it is about.
        provider: Where that was.
        code: The provider's code or our cause; of a failure its reason.
    """

    kind: EventKind
    at: datetime
    attempt: int | None = None
    provider: str | None = None
    code: str | None = None


def history(email: Email) -> tuple[Event, ...]:
    """Return what happened to an email, the earliest first."""
    return tuple(sorted(_events(email), key=lambda event: event.at))


def _events(email: Email) -> Iterator[Event]:
    """Give the events so that those of one instant stand in the order of cause."""
    later = email.scheduled_at is not None and email.scheduled_at > email.created_at
    first = EventKind.SCHEDULED if later else EventKind.QUEUED
    yield Event(kind=first, at=email.created_at)
    if email.redriven_at is not None:
        yield Event(kind=EventKind.REDRIVEN, at=email.redriven_at)
    yield from _attempts(email)
    yield from _ends(email)


def _attempts(email: Email) -> Iterator[Event]:
    for attempt in email.attempts:
        yield _of(attempt, EventKind.ATTEMPTED, attempt.started_at)
        for possible in email.possible_duplicates:
            if possible.attempt_id == attempt.id:
                yield _of(attempt, EventKind.POSSIBLE_DUPLICATE, possible.at)
        if attempt.ended_at is not None:
            outcome = EventKind(attempt.outcome.value)
            yield _of(attempt, outcome, attempt.ended_at, code=attempt.code)
        for confirmed in email.confirmed_duplicates:
            if confirmed.attempt_id == attempt.id:
                yield _of(attempt, EventKind.CONFIRMED_DUPLICATE, confirmed.at)


def _ends(email: Email) -> Iterator[Event]:
    if email.sent_at is not None:
        yield Event(kind=EventKind.SENT, at=email.sent_at)
    if email.state is State.FAILED and email.dead_at is not None:
        yield Event(kind=EventKind.FAILED, at=email.dead_at, code=email.reason)
    if email.state is State.CANCELLED and email.final_at is not None:
        yield Event(kind=EventKind.CANCELLED, at=email.final_at)
    if email.erased_at is not None:
        yield Event(kind=EventKind.ERASED, at=email.erased_at)


def _of(
    attempt: Attempt, kind: EventKind, at: datetime, *, code: str | None = None
) -> Event:
    return Event(
        kind=kind, at=at, attempt=attempt.no, provider=attempt.provider, code=code
    )
