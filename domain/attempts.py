"""What an email's attempts so far say: its round, its share, its uncertainties."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from .email import Attempt, Email
from .outcome import OutcomeWord, RefusalKind
from .policy import Policy
from .routing import Standing

#: Code of an attempt that was not made because its time had run out.
TOO_LATE = "too_late"


def standing_of(email: Email) -> Standing:
    """Return what of the history matters to routing."""
    tries = Counter(
        attempt.provider
        for attempt in email.attempts
        if attempt.round == email.round and attempt.code != TOO_LATE
    )
    return Standing(
        tries=dict(tries),
        excluded=frozenset(
            attempt.provider
            for attempt in since_redrive(email)
            if attempt.kind is RefusalKind.SENDER
        ),
        resting=_rests(email),
        part_sent=email.is_part_sent,
        redriven=email.redrives > 0,
    )


def since_redrive(email: Email) -> tuple[Attempt, ...]:
    """Return the attempts since the email was accepted or last redriven."""
    return tuple(a for a in email.attempts if a.round >= email.first_round)


def share(email: Email, policy: Policy) -> int:
    """Return how many attempts a provider has in the current round."""
    return policy.max_attempts if email.round == email.first_round else 1


def waits_so_far(email: Email, provider: str, policy: Policy) -> int:
    """Return which back-off comes next at a provider, counted from 1.

    It goes on growing from round to round.
    """
    earlier = email.round - email.first_round
    tries = standing_of(email).tries.get(provider, 0)
    return max(1, tries) + (policy.max_attempts + earlier - 1 if earlier else 0)


def retry_at(email: Email, provider: str) -> datetime | None:
    """Return when a provider may have the email again, or ``None`` for any time."""
    return _rests(email).get(provider)


def unknowns(email: Email) -> int:
    """Return how many attempts since the last redrive may be out unseen."""
    return sum(
        attempt.outcome is OutcomeWord.UNKNOWN for attempt in since_redrive(email)
    )


def maybe_out(email: Email) -> tuple[str, ...]:
    """Return the ids of all attempts that may be out without our knowing."""
    return tuple(attempt.id for attempt in email.attempts if attempt.may_be_out)


def _rests(email: Email) -> dict[str, datetime]:
    """Return when each provider that was tried may have the email again."""
    rests: dict[str, datetime] = {}
    for attempt in since_redrive(email):
        if attempt.retry_at is not None:
            known = rests.get(attempt.provider, attempt.retry_at)
            rests[attempt.provider] = max(known, attempt.retry_at)
    return rests
