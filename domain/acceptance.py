"""How a new email begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .email import (
    Content,
    Delivery,
    Email,
    Priority,
    Recipient,
    Routing,
    State,
    WaitingFor,
)
from .policy import Policy
from .times import due_after


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmail:
    """What a client asked for, validated.

    Attributes:
        provider: The only provider that it may go to, if the client said so.
        scheduled_at: Not before then; a time that has passed means now.
        delay: How the client said so, if not as an instant: so long from now.
    """

    owner: str
    content: Content = field(repr=False)
    recipients: tuple[Recipient, ...] = field(repr=False)
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    provider: str | None = None
    priority: Priority = Priority.NORMAL
    scheduled_at: datetime | None = None
    delay: timedelta | None = None


def routing_of(content: Content, recipients: tuple[Recipient, ...]) -> Routing:
    """Return the facts of an email that decide which provider may carry it."""
    texts = (
        content.subject,
        content.text or "",
        content.html or "",
        *content.headers.keys(),
        *content.headers.values(),
    )
    return Routing(
        from_domain=content.sender.domain,
        size_bytes=sum(len(text.encode()) for text in texts)
        + sum(len(attachment.content) for attachment in content.attachments),
        recipients=len(recipients),
        attachments=len(content.attachments),
        inline=sum(bool(a.content_id) for a in content.attachments),
        tags=len(content.tags),
    )


def accept(new: NewEmail, *, email_id: str, now: datetime, policy: Policy) -> Email:
    """Return the email as it is first stored: queued, or scheduled for later.

    Args:
        new: What the client asked for.
        email_id: Made by the caller before the insert.
        now: The store's time.
        policy: Gives the sweep's grace.
    """
    later = new.scheduled_at is not None and new.scheduled_at > now
    not_before = new.scheduled_at if new.scheduled_at and later else now
    return Email(
        email_id=email_id,
        owner=new.owner,
        content=new.content,
        recipients=new.recipients,
        delivery=new.delivery,
        provider=new.provider,
        priority=new.priority,
        scheduled_at=new.scheduled_at,
        routing=routing_of(new.content, new.recipients),
        state=State.SCHEDULED if later else State.QUEUED,
        waiting_for=WaitingFor.SCHEDULE if later else None,
        not_before=not_before,
        due_at=due_after(not_before, wait=not_before - now, policy=policy),
        created_at=now,
        updated_at=now,
        first_due_at=not_before,
    )
