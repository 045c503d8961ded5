"""When an email is to be looked at, and when it is too old."""

from __future__ import annotations

from datetime import datetime, timedelta

from .email import CLAIMABLE, Email
from .policy import LONGEST_HINT_DELAY, Policy


def due_after(not_before: datetime, *, wait: timedelta, policy: Policy) -> datetime:
    """Return when the sweep shall look at an email that waits until ``not_before``.

    A short wait has a hint on its way, which gets the grace; a long one has none.
    """
    hinted = wait <= LONGEST_HINT_DELAY
    return not_before + policy.sweep_grace if hinted else not_before


def is_expired(email: Email, *, now: datetime, policy: Policy) -> bool:
    """Return whether a waiting email is too old to be sent.

    An email that is being sent, or may be out, never expires; nor does one that is
    bound to where it may be out.
    """
    waits = email.state in CLAIMABLE and email.bound_to is None
    return waits and is_too_old(email, now=now, policy=policy)


def is_too_old(email: Email, *, now: datetime, policy: Policy) -> bool:
    """Return whether an email has passed its age, whatever its state.

    Age counts from when it first became due, or from the last redrive.
    """
    born = email.redriven_at or email.first_due_at
    return now - born > policy.max_age
