"""An email, its recipients and its attempts: frozen values, whoever stores them.

Nothing here reads a clock or draws an id; both are arguments of whoever builds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .errors import InvalidValueError
from .outcome import OutcomeWord, RefusalKind

#: Version of the stored document. Readers accept this one and the one before.
SCHEMA_VERSION = 1


class State(StrEnum):
    """Where an email is, up to the provider's acceptance."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"


#: States that nothing but a redrive or a late acceptance leaves.
FINAL_STATES = frozenset(
    {State.SENT, State.FAILED, State.CANCELLED, State.SUPPRESSED},
)


#: States from which an email may be claimed.
CLAIMABLE = frozenset({State.SCHEDULED, State.QUEUED})


class Delivery(StrEnum):
    """What the client prefers when nobody can know whether an email went out."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Priority(StrEnum):
    """Which email goes first when there is a backlog."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def below(self) -> Priority:
        """The next one below, or the lowest itself.

        Examples:
            >>> Priority.HIGH.below.value, Priority.LOW.below.value
            ('normal', 'low')
        """
        return Priority.NORMAL if self is Priority.HIGH else Priority.LOW


class WaitingFor(StrEnum):
    """What an open email waits for, shown to clients and operators."""

    #: Its schedule.
    SCHEDULE = "schedule"
    #: The end of a back-off.
    BACKOFF = "backoff"
    #: A provider that may be tried again (parked).
    PROVIDER = "provider"
    #: An event or a look-up that tells what became of an unknown attempt.
    OUTCOME = "outcome"
    #: A person: held mail.
    OPERATOR = "operator"


class RecipientKind(StrEnum):
    """Which header names the recipient; ``bcc`` is named in none."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class RecipientState(StrEnum):
    """What the providers have said of one recipient so far."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One mailbox: the two parts of RFC 5322 section 3.4."""

    addr_spec: str
    display_name: str = ""

    @property
    def domain(self) -> str:
        """The part after the last ``@``, in lower case."""
        return self.addr_spec.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One addressee and what became of the email there.

    Attributes:
        code: The last refusal's code. A pending one was refused for now.
    """

    kind: RecipientKind
    addr_spec: str
    display_name: str = ""
    state: RecipientState = RecipientState.PENDING
    code: str | None = None
    last_event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attached file; ``content_id`` makes it an inline one."""

    filename: str
    content: bytes = field(repr=False)
    content_type: str
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A label that the client hangs on an email."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is to be said: all that a provider's request is built from.

    ``text`` and ``html``: at least one of them is there. Its ``repr`` shows nothing
    of it, so that no log does.
    """

    sender: Address = field(repr=False)
    reply_to: tuple[Address, ...] = field(default=(), repr=False)
    subject: str = field(repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: tuple[Tag, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The facts that decide which provider may carry an email.

    Attributes:
        from_domain: Domain of the From address, in lower case.
        size_bytes: Decoded size of subject, bodies, headers and attachments.
        recipients: How many there are in all.
        attachments: How many there are.
        inline: How many of the attachments have a ``content_id``.
        tags: How many tags there are.
    """

    from_domain: str
    size_bytes: int
    recipients: int
    attachments: int = 0
    inline: int = 0
    tags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to one provider for one email.

    It is stored by the claim, before a byte leaves, as ``unknown``; what came of it
    is written over that.

    Attributes:
        id: Made at random by the claimant: proof of whose claim it is.
        no: Counted from 1 over the email's whole life.
        round: The round it belongs to, counted from 1.
        provider: The provider's key in the settings.
        recipients: Positions in the email's recipients that it is for.
        started_at: When it was claimed, in the store's time.
        ended_at: When its outcome was recorded; ``None`` while nobody did.
        outcome: ``unknown`` until told otherwise.
        kind: For a refusal, whom it is meant for.
        certain: For a refusal, whether the provider documents "not accepted".
        code: The provider's code, or our cause.
        detail: The provider's words.
        provider_message_id: The provider's name for the email.
        refused: Positions of the recipients that the provider turned away one by one,
            whatever it said of the others.
        latency_ms: How long the call took.
        retry_at: The same provider may not have the email again before this.
        key: The idempotency key that it was sent with, where the provider takes any.
        key_until: Until then a repetition with that key, claimed there, is no second
            email.
    """

    id: str
    no: int
    round: int
    provider: str
    recipients: tuple[int, ...]
    started_at: datetime
    ended_at: datetime | None = None
    outcome: OutcomeWord = OutcomeWord.UNKNOWN
    kind: RefusalKind | None = None
    certain: bool | None = None
    code: str | None = None
    detail: str | None = None
    provider_message_id: str | None = None
    refused: tuple[int, ...] = ()
    latency_ms: int | None = None
    retry_at: datetime | None = None
    key: str | None = None
    key_until: datetime | None = None

    @property
    def may_be_out(self) -> bool:
        """Whether the provider may have taken it without our knowing."""
        if self.outcome is OutcomeWord.REFUSED:
            return self.certain is False
        return self.outcome is OutcomeWord.UNKNOWN

    @property
    def reached(self) -> frozenset[int]:
        """Positions of the recipients who have the email if the provider took it."""
        return frozenset(self.recipients).difference(self.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleDuplicate:
    """A later attempt begun while earlier ones may be out.

    Written by the claim of the later attempt, before its call.
    """

    attempt_id: str
    earlier: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedDuplicate:
    """A second acceptance for a recipient who was accepted before.

    Written by the record that learns of it.
    """

    attempt_id: str
    earlier: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """What a client asked us to send, and all that happened to it.

    Attributes:
        not_before: No claim earlier. Unset when final or held.
        due_at: When the sweep looks at it. Unset when final or held.
        offers: How often the sweep has offered it since the last other write.
        fence: Counts the writes that changed state or times; each write names the
            one it read, so that no stale writer can undo a newer one.
        round: The current round of attempts, counted from 1.
        first_round: The round that the last accept or redrive began with: there
            each provider has its full share of attempts, later one each.
        parked_for: While parked, the providers whose return releases it.
        bound_to: While queued, the only provider that may have it: it may be out
            there, and there a repetition does no harm.
        reason_detail: More on ``reason``, in words for people.
        dead_at: Since when it is a dead letter: it failed, or it was sent and single
            recipients were refused.
        first_due_at: Age counts from here, or from ``redriven_at``.
        final_at: Since when it is final; unset once its content is erased.
        erased_at: When its bodies and attachments were erased.
        expires_at: When its record goes; set as its content is erased.
    """

    email_id: str
    owner: str
    content: Content | None = field(repr=False)
    recipients: tuple[Recipient, ...] = field(repr=False)
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    provider: str | None = None
    priority: Priority = Priority.NORMAL
    scheduled_at: datetime | None = None
    routing: Routing
    state: State
    reason: str | None = None
    reason_detail: str | None = None
    waiting_for: WaitingFor | None = None
    parked_for: tuple[str, ...] = ()
    bound_to: str | None = None
    not_before: datetime | None
    due_at: datetime | None
    offers: int = 0
    fence: int = 0
    round: int = 1
    first_round: int = 1
    attempts: tuple[Attempt, ...] = ()
    possible_duplicates: tuple[PossibleDuplicate, ...] = ()
    confirmed_duplicates: tuple[ConfirmedDuplicate, ...] = ()
    last_event: str | None = None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None = None
    first_due_at: datetime
    redriven_at: datetime | None = None
    redrives: int = 0
    dead_at: datetime | None = None
    final_at: datetime | None = None
    erased_at: datetime | None = None
    expires_at: datetime | None = None
    v: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse naive instants: they would be read as local time somewhere.

        Raises:
            InvalidValueError: An instant has no time zone.
        """
        for name in ("not_before", "due_at", "created_at", "first_due_at"):
            instant: datetime | None = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise InvalidValueError(f"{name} must carry a time zone, got {instant}")

    @property
    def is_final(self) -> bool:
        """Whether only a redrive or a late acceptance can change it."""
        return self.state in FINAL_STATES

    @property
    def is_held(self) -> bool:
        """Whether it waits, unknown, for an event or an operator."""
        return self.state is State.UNKNOWN and self.due_at is None

    @property
    def pending(self) -> tuple[int, ...]:
        """Positions of the recipients that still want an attempt."""
        return tuple(
            index
            for index, recipient in enumerate(self.recipients)
            if recipient.state is RecipientState.PENDING
        )

    @property
    def is_part_sent(self) -> bool:
        """Whether some recipients have it and others still want an attempt."""
        states = {recipient.state for recipient in self.recipients}
        return {RecipientState.PENDING, RecipientState.ACCEPTED} <= states

    def attempt(self, attempt_id: str) -> Attempt | None:
        """Return the attempt of that id, or ``None``."""
        return next((a for a in self.attempts if a.id == attempt_id), None)
