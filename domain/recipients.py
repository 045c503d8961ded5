"""What an answer says of single recipients, and what that makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .email import Attempt, Email, Recipient, RecipientState
from .outcome import (
    Accepted,
    NotSent,
    Outcome,
    RecipientRefusal,
    RefusalKind,
    Refused,
)


def told(
    email: Email, attempt: Attempt, outcome: Outcome, *, decides: bool = True
) -> Email:
    """Return the email with its recipients as the outcome of an attempt leaves them.

    An acceptance is a fact and wins over an earlier refusal. A refusal touches only
    those that are pending; one for now leaves them so, with its code.

    Args:
        email: As stored.
        attempt: Whose outcome it is; it speaks of that attempt's recipients only.
        outcome: What the provider said.
        decides: Whether its refusals count: not where another attempt has the
            recipients in hand or is to have them.
    """
    if not decides and not isinstance(outcome, Accepted):
        return email
    refusals = {r.index: r for r in _refusals(outcome)}
    recipients = tuple(
        _told(recipient, refusals.get(index), outcome)
        if index in attempt.recipients and (decides or index not in refusals)
        else recipient
        for index, recipient in enumerate(email.recipients)
    )
    return replace(email, recipients=recipients)


def refused_of(outcome: Outcome) -> tuple[int, ...]:
    """Return the positions of the recipients that an answer names as refused."""
    return tuple(sorted({refusal.index for refusal in _refusals(outcome)}))


def given_up(email: Email, *, reason: str) -> Email:
    """Return the email with those refused that nobody is to try any more."""
    if not email.pending:
        return email
    recipients = tuple(
        replace(r, state=RecipientState.REFUSED, code=r.code or reason)
        if r.state is RecipientState.PENDING
        else r
        for r in email.recipients
    )
    return replace(email, recipients=recipients)


def has(recipients: Iterable[Recipient], state: RecipientState) -> bool:
    """Return whether one of the recipients is in a state."""
    return any(recipient.state is state for recipient in recipients)


def _refusals(outcome: Outcome) -> tuple[RecipientRefusal, ...]:
    return () if isinstance(outcome, NotSent) else outcome.refused


def _told(
    recipient: Recipient, refusal: RecipientRefusal | None, outcome: Outcome
) -> Recipient:
    if refusal is None and isinstance(outcome, Accepted):
        return replace(recipient, state=RecipientState.ACCEPTED, code=None)
    if recipient.state is not RecipientState.PENDING:
        return recipient
    if refusal is not None:
        return _refused(recipient, refusal.kind, refusal.code)
    if isinstance(outcome, Refused) and outcome.kind is RefusalKind.PERMANENT:
        return _refused(recipient, outcome.kind, outcome.code)
    return recipient


def _refused(recipient: Recipient, kind: RefusalKind, code: str) -> Recipient:
    for_good = kind is RefusalKind.PERMANENT
    state = RecipientState.REFUSED if for_good else RecipientState.PENDING
    return replace(recipient, state=state, code=code)
