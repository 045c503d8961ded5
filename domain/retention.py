"""What of a final email goes and when: its bodies first, later the whole record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from .change import Change, Guard
from .email import Content, Email
from .errors import ForbiddenTransitionError


def erased(email: Email, *, now: datetime, keep_email: timedelta) -> Change:
    """Let go of what an email said, and say when its record goes.

    Sender, recipients, subject, tags and metadata stay as long as the record. Its
    state stays too, and so does the way of a late acceptance or correction; a redrive
    has nothing left to send, so that it is no dead letter any more.

    Args:
        email: A final one, with or without its content.
        now: The store's time.
        keep_email: How long the record stays, counted from when it was final.

    Raises:
        ForbiddenTransitionError: It is open, or was erased before.
    """
    if not email.is_final:
        raise ForbiddenTransitionError(f"{email.state} still needs its content")
    if email.erased_at is not None:
        raise ForbiddenTransitionError("its content was erased before")
    after = replace(
        email,
        content=email.content and without_bodies(email.content),
        fence=email.fence + 1,
        updated_at=now,
        dead_at=None,
        final_at=None,
        erased_at=now,
        expires_at=(email.final_at or email.updated_at) + keep_email,
    )
    guard = Guard(fence=email.fence, states=frozenset({email.state}))
    return Change(guard=guard, before=email, after=after)


def without_bodies(content: Content) -> Content:
    """Return a content that has lost its text, its html and its attachments."""
    return replace(content, text=None, html=None, attachments=())
