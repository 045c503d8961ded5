"""What lists and orders answer: pydantic models, as in `answers.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..domain.address import format_address
from ..domain.archive import Found
from ..domain.email import (
    Delivery,
    Email,
    Priority,
    RecipientKind,
    State,
    WaitingFor,
)
from ..services.replay import Replayed
from .answers import Answer, Instant, TagAnswer, addresses, message_id, tags
from .resend_words import last_event


class ChangedAnswer(Answer):
    """An email has been changed."""

    object: Literal["email"] = "email"
    id: str


class ListedEmailAnswer(Answer):
    """An email in a list: no bodies, files, attempts or events."""

    object: Literal["email"] = "email"
    id: str
    sender: str | None = Field(serialization_alias="from")
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str | None
    created_at: Instant
    scheduled_at: Instant | None
    last_event: str
    message_id: str | None
    tags: list[TagAnswer]
    metadata: dict[str, str]
    delivery: Delivery
    provider: str | None
    priority: Priority
    state: State
    reason: str | None
    dead_at: Instant | None
    waiting_for: WaitingFor | None
    not_before: Instant | None
    due_at: Instant | None
    sent_at: Instant | None
    erased_at: Instant | None
    possible_duplicate: bool


class EmailListAnswer(Answer):
    """A page of emails, the newest first."""

    object: Literal["list"] = "list"
    has_more: bool = Field(
        description="Whether more lie beyond this page, in its direction.",
    )
    data: list[ListedEmailAnswer]


class RefusedReplayAnswer(Answer):
    """A dead letter that stays, and why."""

    id: str
    message: str


class ReplayAnswer(Answer):
    """What a replay came to."""

    object: Literal["replay"] = "replay"
    dry_run: bool
    found: int = Field(description="How many fit, up to the limit.")
    has_more: bool = Field(description="Whether more fit: ask again.")
    replayed: list[str]
    refused: list[RefusedReplayAnswer]
    stopped: str | None = Field(description="Why it did not get to the end, if so.")


def list_answer(found: Found) -> EmailListAnswer:
    """Return a page of emails."""
    return EmailListAnswer(
        has_more=found.has_more, data=[_listed(email) for email in found.emails]
    )


def replay_answer(replayed: Replayed, *, dry_run: bool) -> ReplayAnswer:
    """Return what a replay came to."""
    return ReplayAnswer(
        dry_run=dry_run,
        found=replayed.found,
        has_more=replayed.has_more,
        replayed=list(replayed.replayed),
        refused=[
            RefusedReplayAnswer(id=email_id, message=reason)
            for email_id, reason in replayed.refused.items()
        ],
        stopped=replayed.stopped,
    )


def _listed(email: Email) -> ListedEmailAnswer:
    content = email.content
    return ListedEmailAnswer(
        id=email.email_id,
        sender=format_address(content.sender) if content else None,
        to=addresses(email, RecipientKind.TO),
        cc=addresses(email, RecipientKind.CC),
        bcc=addresses(email, RecipientKind.BCC),
        reply_to=[format_address(one) for one in content.reply_to] if content else [],
        subject=(content.subject or None) if content else None,
        created_at=email.created_at,
        scheduled_at=email.scheduled_at,
        last_event=last_event(email),
        message_id=message_id(email),
        tags=tags(email),
        metadata=dict(content.metadata) if content else {},
        delivery=email.delivery,
        provider=email.provider,
        priority=email.priority,
        state=email.state,
        reason=email.reason,
        dead_at=email.dead_at,
        waiting_for=email.waiting_for,
        not_before=email.not_before,
        due_at=email.due_at,
        sent_at=email.sent_at,
        erased_at=email.erased_at,
        possible_duplicate=bool(email.possible_duplicates),
    )
