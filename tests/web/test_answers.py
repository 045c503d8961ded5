"""An email with a history, as a client sees it; and our words in Resend's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.email import (
    Attempt,
    ConfirmedDuplicate,
    Email,
    PossibleDuplicate,
    State,
    WaitingFor,
)
from postroom.domain.outcome import OutcomeWord, RefusalKind
from postroom.http.answers import email_answer
from postroom.http.resend_words import last_event
from tests.web.stand import NOW, Stand, a_body


@pytest.fixture
def email(stand: Stand) -> Email:
    email = stand.store.load(stand.post(a_body()).json["id"])
    assert email is not None
    return email


def test_attempts_tell_the_story(email: Email) -> None:
    first = Attempt(
        id="secret1",
        no=1,
        round=1,
        provider="sendgrid",
        recipients=(0,),
        refused=(0,),
        started_at=NOW,
        ended_at=NOW + timedelta(milliseconds=61),
        outcome=OutcomeWord.REFUSED,
        kind=RefusalKind.TRANSIENT,
        certain=False,
        code="500",
        detail="oops",
        latency_ms=61,
    )
    second = Attempt(
        id="secret2",
        no=2,
        round=1,
        provider="mailgun",
        recipients=(0,),
        started_at=NOW + timedelta(seconds=1),
        outcome=OutcomeWord.ACCEPTED,
        provider_message_id="<1@mailgun>",
        key="k-2",
    )
    duplicate = PossibleDuplicate(attempt_id="secret2", earlier=("secret1",), at=NOW)
    sent = replace(
        email,
        state=State.SENT,
        attempts=(first, second),
        possible_duplicates=(duplicate,),
        confirmed_duplicates=(
            ConfirmedDuplicate(attempt_id="secret2", earlier=("secret1",), at=NOW),
        ),
        not_before=None,
        due_at=None,
        sent_at=NOW,
    )

    shown = email_answer(sent).model_dump(mode="json")

    assert shown["attempts"] == [
        {
            "no": 1,
            "provider": "sendgrid",
            "recipients": ["ada@example.com"],
            "started_at": "2030-01-31T09:00:00.000Z",
            "ended_at": "2030-01-31T09:00:00.061Z",
            "outcome": "refused",
            "kind": "transient",
            "certain": False,
            "code": "500",
            "detail": "oops",
            "provider_message_id": None,
            "refused": ["ada@example.com"],
            "latency_ms": 61,
            "key": None,
        },
        {
            "no": 2,
            "provider": "mailgun",
            "recipients": ["ada@example.com"],
            "started_at": "2030-01-31T09:00:01.000Z",
            "ended_at": None,
            "outcome": "accepted",
            "kind": None,
            "certain": None,
            "code": None,
            "detail": None,
            "provider_message_id": "<1@mailgun>",
            "refused": [],
            "latency_ms": None,
            "key": "k-2",
        },
    ]
    assert shown["possible_duplicate"] is True
    assert shown["possible_duplicates"] == [
        {"attempt": 2, "earlier": [1], "at": "2030-01-31T09:00:00.000Z"}
    ]
    assert shown["confirmed_duplicates"] == [
        {"attempt": 2, "earlier": [1], "at": "2030-01-31T09:00:00.000Z"}
    ]
    assert "secret" not in str(shown)


def test_a_parked_email_shows_what_it_waits_for(email: Email) -> None:
    parked = replace(email, waiting_for=WaitingFor.PROVIDER)

    shown = email_answer(parked)

    assert shown.waiting_for is WaitingFor.PROVIDER
    assert shown.not_before == NOW


def test_an_email_without_its_content_is_still_shown(email: Email) -> None:
    shown = email_answer(replace(email, content=None, recipients=()))

    assert (shown.sender, shown.subject, shown.text, shown.to) == (None, None, None, [])


@pytest.mark.parametrize(
    ("state", "event", "word"),
    [
        (State.SCHEDULED, None, "scheduled"),
        (State.QUEUED, None, "queued"),
        (State.SENDING, None, "queued"),
        (State.UNKNOWN, None, "outcome_unknown"),
        (State.SENT, None, "sent"),
        (State.SENT, "delivered", "delivered"),
        (State.SENT, "deferred", "delivery_delayed"),
        (State.SENT, "bounced", "bounced"),
        (State.SENT, "complained", "complained"),
        (State.SENT, "rejected", "failed"),
        (State.SENT, "opened", "opened"),
        (State.SENT, "clicked", "clicked"),
        (State.SENT, "unsubscribed", "delivered"),
        (State.SENT, "unknown", "sent"),
        (State.FAILED, None, "failed"),
        (State.CANCELLED, None, "canceled"),
        (State.SUPPRESSED, None, "suppressed"),
    ],
)
def test_each_state_and_event_has_a_word_of_resends(
    email: Email, state: State, event: str | None, word: str
) -> None:
    assert last_event(replace(email, state=state, last_event=event)) == word
