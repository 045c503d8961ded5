"""What the API answers: pydantic models, so that OpenAPI shows what is really sent.

The names are Resend's; what Resend does not have is named after the domain.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from ..domain.address import format_address
from ..domain.email import (
    Address,
    Attempt,
    ConfirmedDuplicate,
    Delivery,
    Email,
    PossibleDuplicate,
    Priority,
    RecipientKind,
    RecipientState,
    State,
    WaitingFor,
)
from ..domain.history import Event, EventKind, history
from ..domain.outcome import OutcomeWord, RefusalKind
from .resend_words import last_event


def _iso(instant: datetime) -> str:
    """Write an instant as the store keeps it: UTC, in milliseconds."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


Instant = Annotated[datetime, PlainSerializer(_iso, return_type=str)]


class Answer(BaseModel):
    """Any answer."""

    model_config = ConfigDict(serialize_by_alias=True)

    def to_json(self) -> bytes:
        """Return what goes over the wire."""
        return self.model_dump_json().encode()


class IdAnswer(Answer):
    """The id once more, where the older service had it."""

    id: str


class AcceptedAnswer(Answer):
    """An email was accepted: it is stored and will be sent."""

    object: Literal["email"] = "email"
    id: str
    state: State
    created_at: Instant
    data: IdAnswer


class TagAnswer(Answer):
    """A label of the client's."""

    name: str
    value: str


class AttachmentAnswer(Answer):
    """A file, without its content."""

    filename: str
    content_type: str
    content_id: str | None
    size: int


class RecipientAnswer(Answer):
    """One addressee and what became of the email there."""

    kind: RecipientKind
    address: str | None = Field(description="Null once the email is erased.")
    state: RecipientState
    code: str | None


class AttemptAnswer(Answer):
    """One call to one provider."""

    no: int
    provider: str
    recipients: list[str]
    started_at: Instant
    ended_at: Instant | None
    outcome: OutcomeWord
    kind: RefusalKind | None
    certain: bool | None
    code: str | None
    detail: str | None
    provider_message_id: str | None
    refused: list[str] = Field(
        description="Of its recipients those that the provider turned away by name.",
    )
    latency_ms: int | None
    key: str | None


class DuplicateAnswer(Answer):
    """An attempt that may be, or is known to be, a copy of earlier ones."""

    attempt: int
    earlier: list[int]
    at: Instant


class EventAnswer(Answer):
    """Something that happened to an email."""

    type: EventKind
    at: Instant
    attempt: int | None
    provider: str | None
    code: str | None


class EmailAnswer(Answer):
    """An email and all that happened to it."""

    object: Literal["email"] = "email"
    id: str
    sender: str | None = Field(serialization_alias="from")
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str | None
    html: str | None
    text: str | None
    created_at: Instant
    scheduled_at: Instant | None
    last_event: str
    message_id: str | None = Field(
        description=(
            "What the provider that took it last calls it: with SMTP and Mailgun its "
            "Message-ID."
        ),
    )
    tags: list[TagAnswer]
    headers: dict[str, str]
    attachments: list[AttachmentAnswer]
    metadata: dict[str, str]
    delivery: Delivery
    provider: str | None
    priority: Priority
    state: State
    reason: str | None
    reason_detail: str | None
    dead_at: Instant | None
    redriven_at: Instant | None
    waiting_for: WaitingFor | None
    bound_to: str | None = Field(
        description="While it may be out: the only provider that may have it again.",
    )
    not_before: Instant | None
    due_at: Instant | None
    sent_at: Instant | None
    erased_at: Instant | None = Field(
        description=(
            "When `html`, `text` and `attachments` were erased, for good; on demand "
            "also the recipients, and all that it said but for its sender."
        ),
    )
    recipients: list[RecipientAnswer]
    attempts: list[AttemptAnswer]
    events: list[EventAnswer] = Field(
        description="What happened to it, in order, as far as its record tells.",
    )
    possible_duplicate: bool
    possible_duplicates: list[DuplicateAnswer]
    confirmed_duplicates: list[DuplicateAnswer]


class HealthAnswer(Answer):
    """Who answers."""

    name: str = "postroom"
    version: str


class ReadyAnswer(Answer):
    """Whether mail is accepted, and what would hold it up after that."""

    ready: bool
    degraded: list[str]


class FaultAnswer(Answer):
    """One thing that is wrong with a request."""

    field: str = Field(
        description=(
            "Where: names after dots, positions (from 0) in brackets, as in `to[0]` "
            "and `attachments[1].content`. A batch begins with the email's position: "
            "`[1].to[0]`. A parameter or a header by its name; empty for the request "
            "as a whole."
        ),
    )
    code: str = Field(description="What, as one word that does not change.")
    message: str


class ErrorAnswer(Answer):
    """Any error: what Resend's SDKs read, and an RFC 9457 problem."""

    status_code: int = Field(serialization_alias="statusCode")
    name: str
    message: str
    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultAnswer]
    request_id: str | None
    id: str | None = Field(
        None,
        description="With `storage_unsure`: the email that may be stored.",
    )
    ids: list[str] | None = Field(
        None,
        description="The same of a batch: all of them are stored, or none.",
    )


def accepted_answer(email: Email) -> AcceptedAnswer:
    """Return the answer to a POST."""
    return AcceptedAnswer(
        id=email.email_id,
        state=email.state,
        created_at=email.created_at,
        data=IdAnswer(id=email.email_id),
    )


def email_answer(email: Email) -> EmailAnswer:
    """Return the answer to a GET."""
    content = email.content
    return EmailAnswer(
        id=email.email_id,
        sender=format_address(content.sender) if content else None,
        to=addresses(email, RecipientKind.TO),
        cc=addresses(email, RecipientKind.CC),
        bcc=addresses(email, RecipientKind.BCC),
        reply_to=[format_address(one) for one in content.reply_to] if content else [],
        subject=(content.subject or None) if content else None,
        html=content.html if content else None,
        text=content.text if content else None,
        created_at=email.created_at,
        scheduled_at=email.scheduled_at,
        last_event=last_event(email),
        message_id=message_id(email),
        tags=tags(email),
        headers=dict(content.headers) if content else {},
        attachments=_attachments(email),
        metadata=dict(content.metadata) if content else {},
        delivery=email.delivery,
        provider=email.provider,
        priority=email.priority,
        state=email.state,
        reason=email.reason,
        reason_detail=email.reason_detail,
        dead_at=email.dead_at,
        redriven_at=email.redriven_at,
        waiting_for=email.waiting_for,
        bound_to=email.bound_to,
        not_before=email.not_before,
        due_at=email.due_at,
        sent_at=email.sent_at,
        erased_at=email.erased_at,
        recipients=_recipients(email),
        attempts=[_attempt(email, attempt) for attempt in email.attempts],
        events=[_event(event) for event in history(email)],
        possible_duplicate=bool(email.possible_duplicates),
        possible_duplicates=_duplicates(email, email.possible_duplicates),
        confirmed_duplicates=_duplicates(email, email.confirmed_duplicates),
    )


def message_id(email: Email) -> str | None:
    """Return what the provider that took an email last calls it."""
    names = [attempt.provider_message_id for attempt in email.attempts]
    return next((name for name in reversed(names) if name), None)


def addresses(email: Email, kind: RecipientKind) -> list[str]:
    """Return whom an email goes to in this way; nobody once it is erased."""
    return [
        format_address(
            Address(addr_spec=one.addr_spec, display_name=one.display_name),
        )
        for one in email.recipients
        if one.kind is kind and one.addr_spec
    ]


def tags(email: Email) -> list[TagAnswer]:
    """Return an email's labels."""
    given = email.content.tags if email.content else ()
    return [TagAnswer(name=tag.name, value=tag.value) for tag in given]


def _attachments(email: Email) -> list[AttachmentAnswer]:
    attachments = email.content.attachments if email.content else ()
    return [
        AttachmentAnswer(
            filename=one.filename,
            content_type=one.content_type,
            content_id=one.content_id,
            size=len(one.content),
        )
        for one in attachments
    ]


def _recipients(email: Email) -> list[RecipientAnswer]:
    return [
        RecipientAnswer(
            kind=one.kind,
            address=one.addr_spec or None,
            state=one.state,
            code=one.code,
        )
        for one in email.recipients
    ]


def _attempt(email: Email, attempt: Attempt) -> AttemptAnswer:
    return AttemptAnswer(
        no=attempt.no,
        provider=attempt.provider,
        recipients=_named(email, attempt.recipients),
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        kind=attempt.kind,
        certain=attempt.certain,
        code=attempt.code,
        detail=attempt.detail,
        provider_message_id=attempt.provider_message_id,
        refused=_named(email, attempt.refused),
        latency_ms=attempt.latency_ms,
        key=attempt.key,
    )


def _named(email: Email, positions: Iterable[int]) -> list[str]:
    """Return the addresses at some positions; none of an email that is erased."""
    found = (email.recipients[n].addr_spec for n in positions)
    return [addr_spec for addr_spec in found if addr_spec]


def _event(event: Event) -> EventAnswer:
    return EventAnswer(
        type=event.kind,
        at=event.at,
        attempt=event.attempt,
        provider=event.provider,
        code=event.code,
    )


def _duplicates(
    email: Email, found: Iterable[PossibleDuplicate | ConfirmedDuplicate]
) -> list[DuplicateAnswer]:
    numbers = {attempt.id: attempt.no for attempt in email.attempts}
    return [
        DuplicateAnswer(
            attempt=numbers.get(one.attempt_id, 0),
            earlier=[numbers.get(attempt_id, 0) for attempt_id in one.earlier],
            at=one.at,
        )
        for one in found
    ]
