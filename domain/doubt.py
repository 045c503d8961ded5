"""What becomes of an email that may be out: repeated with its key, waited for, held.

The three rules for an attempt whose outcome nobody knows. Where the provider takes
keys, the same provider has it again with the same key. Else, or if that leads nowhere,
there is a wait for news. After that the client's preference decides: sent again,
recorded as a possible duplicate, or held.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .attempts import share, standing_of, unknowns
from .change import Change
from .email import Attempt, Delivery, Email
from .keys import repeatable
from .lifecycle import queued, unknown
from .policy import Policy

#: The wait for word of an unknown attempt doubles up to this often: no date of a
#: longer one could be written down.
MOST_DOUBLINGS = 10


def repeated(
    email: Email, provider: str, *, wait: timedelta, now: datetime, policy: Policy
) -> Change | None:
    """Queue an email for where it may be out, if a repetition does no harm there.

    An email that may go out twice tries that for its share of attempts, so that no
    provider's silence keeps it from the others. One that must not has nowhere else
    to go: it tries again in as many rounds as the bound on copies allows.

    Args:
        email: In hand, its last attempt ended or abandoned.
        provider: Whose attempt that was.
        wait: How long until the repetition.
        now: The store's time.
        policy: The limits.

    Returns:
        The write, or ``None`` if the next rule is to decide.
    """
    if repeatable(email, provider, now=now) is None:
        return None
    is_used = standing_of(email).tries.get(provider, 0) >= share(email, policy)
    if is_used and not _has_rounds(email, policy):
        return None
    return queued(
        email, now=now, wait=wait, policy=policy, new_round=is_used, bound_to=provider
    )


def awaited(email: Email, attempt: Attempt, *, now: datetime, policy: Policy) -> Change:
    """Wait for word of an attempt, longer each time, or hold the email."""
    until = _wait_ends(email, attempt, policy)
    if until is None:
        return unknown(email, now=now, until=None)
    return unknown(email, now=now, until=max(until, now))


def unbound(
    email: Email, *, back_at: datetime | None, now: datetime, policy: Policy
) -> Change | None:
    """Give up the repetition of a bound email at a provider that cannot have it now.

    Args:
        email: Bound to a provider.
        back_at: When that one may be tried again; ``None`` if no waiting helps.
        now: The store's time.
        policy: The limits.

    Returns:
        The write, or ``None`` if it is to wait for the provider: one that must not go
        twice does, and any other if news of it would take as long.
    """
    there = (a for a in reversed(email.attempts) if a.provider == email.bound_to)
    attempt = next((a for a in there if a.may_be_out), email.attempts[-1])
    if back_at is not None:
        until = _wait_ends(email, attempt, policy)
        if email.delivery is Delivery.AT_MOST_ONCE or until is None or back_at <= until:
            return None
    return awaited(email, attempt, now=now, policy=policy)


def lapsed(email: Email, *, now: datetime, policy: Policy) -> Change:
    """Take an email from whoever did not come back with it."""
    attempt = email.attempts[-1]
    again = repeated(email, attempt.provider, wait=timedelta(0), now=now, policy=policy)
    return again or awaited(email, attempt, now=now, policy=policy)


def _has_rounds(email: Email, policy: Policy) -> bool:
    is_careful = email.delivery is Delivery.AT_MOST_ONCE
    return is_careful and email.round - email.first_round < policy.max_unknown


def _wait_ends(email: Email, attempt: Attempt, policy: Policy) -> datetime | None:
    """Return when to stop waiting for word of an attempt; ``None`` for never.

    The wait counts from when the call must have ended, so that a lapsed lease does
    not add to it.
    """
    count = unknowns(email) or 1
    if email.delivery is Delivery.AT_MOST_ONCE or count > policy.max_unknown:
        return None
    repeats = sum(a.key == attempt.key for a in email.attempts if a.key is not None)
    more = max(0, repeats - policy.max_attempts)
    doublings = min(count - 1 + more, MOST_DOUBLINGS)
    return attempt.started_at + policy.timeout + policy.unknown_grace * (1 << doublings)
