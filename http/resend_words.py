"""Our words and Resend's: the one place that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from ..domain.email import Email, State

#: Resend's word for what a provider told us after it took an email.
_EVENT_WORDS: Mapping[str, str] = {
    "delivered": "delivered",
    "deferred": "delivery_delayed",
    "bounced": "bounced",
    "complained": "complained",
    "rejected": "failed",
    "opened": "opened",
    "clicked": "clicked",
    # It was read, so it was delivered; Resend has no word for more.
    "unsubscribed": "delivered",
}


def last_event(email: Email) -> str:
    """Return the ``last_event`` that Resend's clients know.

    Two words are not Resend's: ``suppressed`` and ``outcome_unknown``.
    """
    match email.state:
        case State.SCHEDULED:
            word = "scheduled"
        case State.QUEUED | State.SENDING:
            word = "queued"
        case State.UNKNOWN:
            word = "outcome_unknown"
        case State.SENT:
            word = _EVENT_WORDS.get(email.last_event or "", "sent")
        case State.FAILED:
            word = "failed"
        case State.CANCELLED:
            word = "canceled"
        case State.SUPPRESSED:
            word = "suppressed"
        case _:
            assert_never(email.state)
    return word
