"""Builders with defaults: a test shows only what matters to it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.domain.acceptance import NewEmail
from postroom.domain.access import DEFAULT_OWNER, ApiKey, Scope, digest_of
from postroom.domain.attempts import standing_of
from postroom.domain.email import (
    FINAL_STATES,
    Address,
    Attachment,
    Attempt,
    Content,
    Delivery,
    Email,
    PossibleDuplicate,
    Priority,
    Recipient,
    RecipientKind,
    RecipientState,
    Routing,
    State,
    Tag,
    WaitingFor,
)
from postroom.domain.hint import Hint
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    OutcomeWord,
    RefusalKind,
    Refused,
    Unknown,
)
from postroom.domain.policy import Policy
from postroom.domain.recipients import refused_of
from postroom.domain.routing import BreakerState, Health, ProviderProfile
from postroom.domain.settling import Result

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ID = "65f000000000000000000001"
POLICY = Policy()
ALPHA, BETA, GAMMA = "alpha", "beta", "gamma"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def at(offset_s: float) -> datetime:
    """Give the instant so many seconds after `NOW`."""
    return NOW + seconds(offset_s)


def a_content(**given: Any) -> Content:
    defaults: dict[str, Any] = {
        "sender": Address(addr_spec="shop@acme.example", display_name="Acme"),
        "subject": "Hi",
        "text": "Hello",
    }
    return Content(**(defaults | given))


def a_full_content() -> Content:
    """Give one that says something in every field, with names a store may dislike."""
    return a_content(
        reply_to=(
            Address(addr_spec="help@acme.example"),
            Address(addr_spec="desk@acme.example", display_name="Desk"),
        ),
        html="<p>Hello</p>",
        headers={"X-Order": "7", "X-A.b": "dotted"},
        tags=(Tag(name="kind", value="receipt"), Tag(name="a.$b", value="")),
        metadata={"order.id": "7", "$where": "1", "": "empty", "a\x00b": "nul"},
        attachments=(
            Attachment(
                filename="a.pdf", content=b"\x00\xff", content_type="application/pdf"
            ),
            Attachment(
                filename="b.png",
                content=b"",
                content_type="image/png",
                content_id="logo",
            ),
        ),
    )


def a_recipient(**given: Any) -> Recipient:
    defaults: dict[str, Any] = {
        "kind": RecipientKind.TO,
        "addr_spec": "ada@example.com",
    }
    return Recipient(**(defaults | given))


def a_routing(**given: Any) -> Routing:
    defaults: dict[str, Any] = {
        "from_domain": "acme.example",
        "size_bytes": 7,
        "recipients": 1,
    }
    return Routing(**(defaults | given))


def an_attempt(outcome: Outcome | None = None, **given: Any) -> Attempt:
    """Give the claim's attempt, or with an outcome the recorded one."""
    no = given.get("no", 1)
    defaults: dict[str, Any] = {
        "id": f"attempt-{no}",
        "no": no,
        "round": 1,
        "provider": ALPHA,
        "recipients": (0,),
        "started_at": NOW - seconds(10),
    }
    return Attempt(**(defaults | _told(outcome) | given))


def _told(outcome: Outcome | None) -> dict[str, Any]:
    ended: dict[str, Any] = {"ended_at": NOW - seconds(9), "latency_ms": 1000}
    match outcome:
        case None:
            return {}
        case Accepted():
            return ended | {
                "outcome": OutcomeWord.ACCEPTED,
                "refused": refused_of(outcome),
                "provider_message_id": outcome.provider_message_id,
            }
        case Refused():
            return ended | {
                "outcome": OutcomeWord.REFUSED,
                "refused": refused_of(outcome),
                "kind": outcome.kind,
                "certain": outcome.certain,
                "code": outcome.code,
                "detail": outcome.detail or None,
                "retry_at": NOW - seconds(1),
            }
        case NotSent():
            return ended | {
                "outcome": OutcomeWord.NOT_SENT,
                "code": outcome.cause,
                "retry_at": NOW - seconds(1),
            }
        case Unknown():
            return ended | {
                "outcome": OutcomeWord.UNKNOWN,
                "refused": refused_of(outcome),
                "code": outcome.cause,
            }


def an_email(state: State = State.QUEUED, **given: Any) -> Email:
    """Give an email in a state, with times and attempts as they are then stored."""
    attempts = given.get("attempts", _usual_attempts(state))
    defaults: dict[str, Any] = {
        "email_id": ID,
        "owner": "default",
        "content": a_content(),
        "recipients": (_usual_recipient(state),),
        "routing": a_routing(),
        "state": state,
        "attempts": attempts,
        "fence": len(attempts),
        "created_at": NOW - seconds(60),
        "updated_at": NOW - seconds(10),
        "first_due_at": NOW - seconds(60),
    }
    return Email(**(defaults | _usual_times(state) | given))


def _usual_attempts(state: State) -> tuple[Attempt, ...]:
    match state:
        case State.SENDING:
            return (an_attempt(),)
        case State.UNKNOWN:
            return (an_attempt(Unknown(cause="timeout")),)
        case State.SENT:
            return (an_attempt(Accepted(provider_message_id="m1")),)
        case State.FAILED:
            return (an_attempt(REFUSED_FOR_GOOD),)
        case _:
            return ()


def _usual_recipient(state: State) -> Recipient:
    match state:
        case State.SENT:
            return a_recipient(state=RecipientState.ACCEPTED)
        case State.FAILED:
            return a_recipient(state=RecipientState.REFUSED, code="550")
        case _:
            return a_recipient()


def _usual_times(state: State) -> dict[str, Any]:
    if state in FINAL_STATES:
        final = {"not_before": None, "due_at": None, "final_at": NOW - seconds(10)}
        dead = {"dead_at": NOW - seconds(10)} if state is State.FAILED else {}
        return final | dead
    if state is State.UNKNOWN:
        return {
            "not_before": None,
            "due_at": at(30),
            "waiting_for": WaitingFor.OUTCOME,
        }
    due = {State.SENDING: at(50), State.SCHEDULED: at(-1)}.get(state, at(59))
    waiting = WaitingFor.SCHEDULE if state is State.SCHEDULED else None
    return {"not_before": at(-1), "due_at": due, "waiting_for": waiting}


def a_held_email(**given: Any) -> Email:
    return an_email(
        State.UNKNOWN,
        **({"due_at": None, "waiting_for": WaitingFor.OPERATOR} | given),
    )


def a_parked_email(*providers: str, **given: Any) -> Email:
    defaults: dict[str, Any] = {
        "waiting_for": WaitingFor.PROVIDER,
        "parked_for": providers or (ALPHA,),
        "not_before": at(30),
        "due_at": at(900),
    }
    return an_email(**(defaults | given))


def a_new_email(**given: Any) -> NewEmail:
    defaults: dict[str, Any] = {
        "owner": "default",
        "content": a_content(),
        "recipients": (a_recipient(),),
    }
    return NewEmail(**(defaults | given))


def a_key(secret: str = "pr_live_" + "k" * 43, **given: Any) -> ApiKey:
    """Give the stored key of a secret, for everything and of the default owner."""
    defaults: dict[str, Any] = {
        "key_id": "key_1",
        "owner": DEFAULT_OWNER,
        "name": "the shop",
        "digest": digest_of(secret),
        "scopes": frozenset({Scope.ADMIN}),
        "created_at": NOW,
    }
    return ApiKey(**(defaults | given))


def a_profile(name: str = ALPHA, **given: Any) -> ProviderProfile:
    defaults: dict[str, Any] = {
        "name": name,
        "kind": "sandbox",
        "max_size_bytes": 1_000_000,
        "max_recipients": 50,
    }
    return ProviderProfile(**(defaults | given))


def a_hint(email: Email | None = None, **given: Any) -> Hint:
    return replace(Hint.of(email or an_email()), **given)


def a_result(outcome: Outcome, **given: Any) -> Result:
    defaults: dict[str, Any] = {
        "attempt_id": "attempt-1",
        "outcome": outcome,
        "latency": seconds(1),
        "jitter": 0.0,
    }
    return Result(**(defaults | given))


def a_refusal(
    kind: RefusalKind = RefusalKind.TRANSIENT, *, certain: bool = True, **given: Any
) -> Refused:
    defaults: dict[str, Any] = {"kind": kind, "certain": certain, "code": "503"}
    return Refused(**(defaults | given))


ACCEPTED = Accepted(provider_message_id="m1")
REFUSED_FOR_GOOD = Refused(kind=RefusalKind.PERMANENT, certain=True, code="550")
REFUSED_FOR_NOW = a_refusal()
UNSURE_REFUSAL = a_refusal(certain=False, code="500")
TIMED_OUT = Unknown(cause="timeout")
NOT_SENT = NotSent(cause="connection_refused")
TOO_LATE = NotSent(cause="too_late", late=True)

#: One of each kind that a call can come to.
OUTCOMES: Mapping[str, Outcome] = {
    "accepted": ACCEPTED,
    "permanent": REFUSED_FOR_GOOD,
    "transient": REFUSED_FOR_NOW,
    "unsure": UNSURE_REFUSAL,
    "throttled": a_refusal(code="429", throttled=True, retry_after=seconds(30)),
    "account": a_refusal(RefusalKind.ACCOUNT, code="401"),
    "sender": a_refusal(RefusalKind.SENDER, code="403"),
    "not_sent": NOT_SENT,
    "too_late": TOO_LATE,
    "unknown": TIMED_OUT,
}


def everything_set() -> Email:
    """Give an email with a value of its own in every field."""
    duplicate = PossibleDuplicate(
        attempt_id="attempt-2", earlier=("attempt-1",), at=at(-5)
    )
    refused = an_attempt(
        a_refusal(certain=False, code="500", detail="sorry"),
        provider_message_id="m0",
        recipients=(0, 1),
        refused=(1,),
    )
    return an_email(
        State.SENDING,
        owner="tenant",
        content=a_full_content(),
        recipients=(
            a_recipient(display_name="Ada", state=RecipientState.ACCEPTED),
            a_recipient(
                kind=RecipientKind.BCC,
                addr_spec="bob@example.com",
                state=RecipientState.REFUSED,
                code="550",
                last_event="bounced",
            ),
        ),
        delivery=Delivery.AT_MOST_ONCE,
        provider=ALPHA,
        priority=Priority.HIGH,
        scheduled_at=at(-60),
        routing=a_routing(attachments=2, inline=1, tags=2),
        reason="a reason",
        waiting_for=WaitingFor.BACKOFF,
        parked_for=(ALPHA, BETA),
        offers=2,
        fence=7,
        round=3,
        first_round=2,
        attempts=(refused, an_attempt(no=2)),
        possible_duplicates=(duplicate,),
        last_event="delivered",
        sent_at=at(1),
        redriven_at=at(-40),
        redrives=1,
        expires_at=at(1000),
    )


def tries(email: Email) -> Mapping[str, int]:
    return standing_of(email).tries


def an_open_breaker(*, retry_at: datetime | None = None) -> Health:
    return Health(state=BreakerState.OPEN, retry_at=retry_at or at(30))
