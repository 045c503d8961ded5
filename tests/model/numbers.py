"""What makes two emails the same, and times as seconds.

Equal as far as the protocol can tell: what may decide anything from now on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from postroom.domain.attempts import TOO_LATE
from postroom.domain.email import Attempt, Email
from postroom.domain.outcome import OutcomeWord
from tests.builders import NOW, seconds


def instant(now: int) -> datetime:
    return NOW + seconds(now)


def second(instant: datetime) -> int:
    return round((instant - NOW).total_seconds())


def instants(email: Email) -> Iterator[int]:
    times = [email.not_before, email.due_at]
    for attempt in email.attempts:
        times.append(attempt.retry_at)
        if attempt.key_until is not None and attempt.may_be_out:
            times.append(attempt.key_until + seconds(1))
    yield from (second(time) for time in times if time is not None)


def email_key(email: Email) -> tuple[Any, ...]:
    """Return all that may decide anything about an email from now on."""
    return (
        (email.state, email.fence, email.not_before, email.due_at, email.offers),
        (email.round, email.first_round, email.bound_to, email.parked_for),
        (email.waiting_for, email.scheduled_at, email.first_due_at),
        (email.redriven_at, email.redrives, email.reason, email.dead_at is None),
        tuple((r.state, r.code) for r in email.recipients),
        tuple(_attempt_key(attempt) for attempt in email.attempts),
        tuple((d.attempt_id, d.earlier) for d in email.possible_duplicates),
        tuple((d.attempt_id, d.earlier) for d in email.confirmed_duplicates),
        (email.delivery, email.erased_at is None),
    )


def _attempt_key(attempt: Attempt) -> tuple[Any, ...]:
    is_open = attempt.may_be_out
    is_accepted = attempt.outcome is OutcomeWord.ACCEPTED
    return (
        (attempt.id, attempt.provider, attempt.round, attempt.recipients),
        (attempt.outcome, attempt.kind, attempt.certain, attempt.ended_at is None),
        (attempt.key, attempt.key_until, attempt.retry_at, attempt.code == TOO_LATE),
        attempt.started_at if is_open else None,
        attempt.refused if is_open or is_accepted else (),
    )
