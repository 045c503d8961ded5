"""The ledger of duplicates: possible ones before the call, and proved ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .attempts import maybe_out
from .email import Attempt, ConfirmedDuplicate, Email, RecipientState
from .keys import Key
from .outcome import Accepted, Outcome, OutcomeWord


def possible(
    email: Email, key: Key | None, *, provider: str, now: datetime
) -> tuple[str, ...]:
    """Return the ids of what may be out and is not merely repeated with this key.

    Args:
        email: Before the claim of the next attempt.
        key: Of that attempt, if its provider takes any.
        provider: Who is to have it.
        now: The store's time.
    """
    ids = set(maybe_out(email))
    return tuple(
        a.id
        for a in email.attempts
        if a.id in ids
        and not (key is not None and key.covers(a, provider=provider, now=now))
    )


def confirmed(
    email: Email, attempt: Attempt, outcome: Outcome, *, now: datetime
) -> Email:
    """Return the email with a duplicate recorded, if an acceptance proves one.

    That is an acceptance of a recipient who had the email already, under another of
    the providers' names for it.

    Args:
        email: With the attempt as the outcome leaves it.
        attempt: That one.
        outcome: What the provider said.
        now: The store's time.
    """
    if not isinstance(outcome, Accepted):
        return email
    twice = {
        index
        for index in attempt.reached
        if email.recipients[index].state is RecipientState.ACCEPTED
    }
    earlier = tuple(
        other.id
        for other in email.attempts
        if other.outcome is OutcomeWord.ACCEPTED
        and twice.intersection(other.reached)
        and not _is_one_email(other, attempt)
    )
    if not earlier:
        return email
    found = ConfirmedDuplicate(attempt_id=attempt.id, earlier=earlier, at=now)
    return replace(email, confirmed_duplicates=(*email.confirmed_duplicates, found))


def _is_one_email(one: Attempt, other: Attempt) -> bool:
    """Whether two attempts came to the same email at the same provider.

    Its names for them tell; where it gave none, the key that they were sent with.
    """
    if one.id == other.id or one.provider != other.provider:
        return one.id == other.id
    names = {one.provider_message_id, other.provider_message_id}
    if None in names:
        return one.key is not None and one.key == other.key
    return len(names) == 1
