"""The events of an email are what its record tells, in order."""

from dataclasses import replace

import pytest

from postroom.domain.email import ConfirmedDuplicate, Email, PossibleDuplicate, State
from postroom.domain.erasure import erased_whole
from postroom.domain.history import Event, EventKind, history
from postroom.domain.outcome import OutcomeWord
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOW,
    POLICY,
    TIMED_OUT,
    a_refusal,
    an_attempt,
    an_email,
    at,
)


def kinds(email: Email) -> list[str]:
    return [event.kind.value for event in history(email)]


def test_a_failover_in_doubt_is_told_step_by_step() -> None:
    first = an_attempt(TIMED_OUT, started_at=at(-50), ended_at=at(-40))
    second = an_attempt(
        ACCEPTED, no=2, provider=BETA, started_at=at(-9), ended_at=at(-8)
    )
    given = {"attempt_id": "attempt-2", "earlier": ("attempt-1",)}
    email = an_email(
        State.SENT,
        attempts=(first, second),
        possible_duplicates=(PossibleDuplicate(**given, at=at(-9)),),
        confirmed_duplicates=(ConfirmedDuplicate(**given, at=at(-2)),),
        sent_at=at(-8),
    )

    assert [(e.kind, e.at, e.attempt, e.provider, e.code) for e in history(email)] == [
        (EventKind.QUEUED, at(-60), None, None, None),
        (EventKind.ATTEMPTED, at(-50), 1, ALPHA, None),
        (EventKind.UNKNOWN, at(-40), 1, ALPHA, "timeout"),
        (EventKind.ATTEMPTED, at(-9), 2, BETA, None),
        (EventKind.POSSIBLE_DUPLICATE, at(-9), 2, BETA, None),
        (EventKind.ACCEPTED, at(-8), 2, BETA, None),
        (EventKind.SENT, at(-8), None, None, None),
        (EventKind.CONFIRMED_DUPLICATE, at(-2), 2, BETA, None),
    ]


def test_an_attempt_in_hand_has_no_result_yet() -> None:
    assert kinds(an_email(State.SENDING)) == ["queued", "attempted"]


def test_a_redrive_stands_between_what_was_before_and_after_it() -> None:
    email = an_email(
        attempts=(
            an_attempt(a_refusal(), started_at=at(-50), ended_at=at(-49)),
            an_attempt(no=2, started_at=at(-5)),
        ),
        redriven_at=at(-20),
    )

    assert kinds(email) == ["queued", "attempted", "refused", "redriven", "attempted"]


@pytest.mark.parametrize("scheduled_at", [at(-30), at(90)])
def test_what_was_for_later_was_scheduled(scheduled_at: object) -> None:
    assert kinds(an_email(scheduled_at=scheduled_at)) == ["scheduled"]


def test_a_failure_has_its_reason() -> None:
    email = an_email(State.FAILED, reason="expired", attempts=())

    assert history(email)[-1] == Event(
        kind=EventKind.FAILED, at=at(-10), code="expired"
    )


def test_a_cancellation_is_told() -> None:
    assert kinds(an_email(State.CANCELLED)) == ["queued", "cancelled"]


def test_no_time_is_made_up_for_what_erasing_took_away() -> None:
    email = replace(an_email(State.CANCELLED), final_at=at(-10))
    after = erased_whole(email, now=NOW, keep_email=POLICY.keep_email).after

    assert kinds(after) == ["queued", "erased"]


def test_every_outcome_has_an_event() -> None:
    assert {word.value for word in OutcomeWord} <= {kind.value for kind in EventKind}
