"""What of a final email goes when its content is erased on demand: all that was said.

It goes further than what old email loses by itself (``retention.py``), which keeps
recipients, subject and tags as long as the record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from .change import Change, Guard
from .email import Content, Email, Recipient
from .errors import ForbiddenTransitionError


def erased_whole(email: Email, *, now: datetime, keep_email: timedelta) -> Change:
    """Let go of all that an email said and to whom; its record stays.

    What happened to it stays: states, times, attempts, codes. Of its content only the
    sender stays. A provider's own words go too, since they may name a recipient. As
    with old email, a redrive has nothing left to send.

    Args:
        email: A final one.
        now: The store's time.
        keep_email: How long the record stays, counted from when it was final.

    Raises:
        ForbiddenTransitionError: It is open.
    """
    if not email.is_final:
        raise ForbiddenTransitionError(f"{email.state} still needs its content")
    after = replace(
        email,
        content=email.content and Content(sender=email.content.sender, subject=""),
        recipients=tuple(_nameless(recipient) for recipient in email.recipients),
        attempts=tuple(replace(attempt, detail=None) for attempt in email.attempts),
        reason_detail=None,
        fence=email.fence + 1,
        updated_at=now,
        dead_at=None,
        final_at=None,
        erased_at=now,
        expires_at=email.expires_at
        or (email.final_at or email.updated_at) + keep_email,
    )
    guard = Guard(fence=email.fence, states=frozenset({email.state}))
    return Change(guard=guard, before=email, after=after)


def is_erased_whole(email: Email) -> bool:
    """Return whether an email says nothing any more, and to nobody."""
    return email.erased_at is not None and not any(
        recipient.addr_spec for recipient in email.recipients
    )


def _nameless(recipient: Recipient) -> Recipient:
    return replace(recipient, addr_spec="", display_name="")
