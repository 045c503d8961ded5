"""What an email's attempts so far say: its round, its share, its uncertainties."""

from __future__ import annotations

from datetime import datetime

from .email import Attempt, Email
from .outcome import OutcomeWord, RefusalKind
from .policy import Policy
from .routing import Standing

#: Code of an attempt that was not made because its time had run out.
TOO_LATE = "too_late"


def standing_of(email: Email) -> Standing:
    """Return what of the history matters to routing."""
    if not email.attempts:  # as of every new email
        return Standing(
            part_sent=email.is_part_sent,
            redriven=email.redrives > 0,
            bound_to=email.bound_to,
        )
    tries: dict[str, int] = {}
    for attempt in email.attempts:
        if attempt.round == email.round and attempt.code != TOO_LATE:
            tries[attempt.provider] = tries.get(attempt.provider, 0) + 1
    return Standing(
        tries=tries,
        excluded=frozenset(
            attempt.provider
            for attempt in since_redrive(email)
            if attempt.kind is RefusalKind.SENDER
        ),
        resting=_rests(email),
        part_sent=email.is_part_sent,
        redriven=email.redrives > 0,
        bound_to=email.bound_to,
        bound_until=_bound_until(email),
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
    """Return how many emails may be out unseen since the last redrive.

    Repetitions with one key are one email.
    """
    open_ended = (a for a in since_redrive(email) if a.outcome is OutcomeWord.UNKNOWN)
    return len({(a.provider, a.key or a.id) for a in open_ended})


def maybe_out(email: Email) -> tuple[str, ...]:
    """Return the ids of all attempts that may be out without our knowing.

    Of attempts with one key, an accepted one tells what became of all.
    """
    accepted = {
        (a.provider, a.key)
        for a in email.attempts
        if a.key is not None and a.outcome is OutcomeWord.ACCEPTED
    }
    return tuple(
        a.id
        for a in email.attempts
        if a.may_be_out and (a.provider, a.key) not in accepted
    )


def _bound_until(email: Email) -> datetime | None:
    """Return how long its key lives at the provider that an email is bound to."""
    ends = (
        a.key_until
        for a in since_redrive(email)
        if a.provider == email.bound_to
        and a.may_be_out
        and a.key_until is not None
        and a.recipients == email.pending
    )
    return max(ends, default=None)


def _rests(email: Email) -> dict[str, datetime]:
    """Return when each provider that was tried may have the email again."""
    rests: dict[str, datetime] = {}
    for attempt in since_redrive(email):
        if attempt.retry_at is not None:
            known = rests.get(attempt.provider, attempt.retry_at)
            rests[attempt.provider] = max(known, attempt.retry_at)
    return rests
