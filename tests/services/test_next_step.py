"""Whatever is stored of an email, somebody is told to come back for it."""

from dataclasses import replace
from datetime import datetime

import pytest

from postroom.adapters.memory_hints import Hinted, MemoryHints
from postroom.domain.email import Email, State
from postroom.domain.hint import Hint
from postroom.services.next_step import Again, Dead, Done, NextStep, follow_up
from tests.builders import (
    ALPHA,
    ID,
    NOW,
    REFUSED_FOR_NOW,
    a_held_email,
    an_attempt,
    an_email,
    at,
    seconds,
)

TRIED = (an_attempt(REFUSED_FOR_NOW),)


@pytest.fixture
def hints() -> MemoryHints:
    return MemoryHints()


def followed(
    hints: MemoryHints, email: Email, provider: str | None = ALPHA
) -> NextStep:
    return follow_up(email, provider=provider, now=NOW, hints=hints)


def test_a_failed_email_lets_its_message_die(hints: MemoryHints) -> None:
    assert followed(hints, an_email(State.FAILED, reason="refused")) == Dead(
        reason="refused"
    )
    assert followed(hints, an_email(State.FAILED)) == Dead(reason="failed")


@pytest.mark.parametrize(
    "email",
    [an_email(State.SENT), an_email(State.SENDING), a_held_email()],
    ids=["sent", "sending", "held"],
)
def test_what_is_settled_in_hand_or_held_needs_nobody(
    hints: MemoryHints, email: Email
) -> None:
    assert followed(hints, email) == Done()
    assert hints.hinted == []


@pytest.mark.parametrize(
    ("due_at", "waits"),
    [(at(-5), [0]), (at(60), [60]), (at(61), [])],
    ids=["over", "soon", "later"],
)
def test_an_unknown_email_is_looked_at_when_its_wait_is_over(
    hints: MemoryHints, due_at: datetime, waits: list[int]
) -> None:
    assert followed(hints, an_email(State.UNKNOWN, due_at=due_at)) == Done()
    assert hints.hinted == [
        Hinted(queue="reconcile", what=ID, delay=seconds(wait)) for wait in waits
    ]


@pytest.mark.parametrize("provider", [ALPHA, None])
def test_an_email_that_may_go_now_is_routed(
    hints: MemoryHints, provider: str | None
) -> None:
    email = an_email(attempts=TRIED, not_before=at(-1))

    assert followed(hints, email, provider) == Done()
    assert hints.hinted == [
        Hinted(queue="router", what=Hint.of(email), delay=seconds(0))
    ]


def test_the_same_provider_waits_for_it(hints: MemoryHints) -> None:
    attempt = an_attempt(REFUSED_FOR_NOW, retry_at=at(8))
    email = an_email(attempts=(attempt,), not_before=at(8))

    assert followed(hints, email) == Again(delay=seconds(8))
    assert hints.hinted == []


@pytest.mark.parametrize(
    ("email", "provider"),
    [
        pytest.param(an_email(attempts=TRIED), None, id="asked-by-no-provider"),
        pytest.param(an_email(attempts=TRIED, round=2), ALPHA, id="a-new-round"),
        pytest.param(
            an_email(attempts=(an_attempt(REFUSED_FOR_NOW, retry_at=at(99)),)),
            ALPHA,
            id="it-asked-for-longer",
        ),
    ],
)
def test_anybody_else_is_found_by_the_router(
    hints: MemoryHints, email: Email, provider: str | None
) -> None:
    waiting = replace(email, not_before=at(8))

    assert followed(hints, waiting, provider) == Done()
    assert [(h.queue, h.delay) for h in hints.hinted] == [("router", seconds(8))]


def test_a_long_wait_is_left_to_the_sweep(hints: MemoryHints) -> None:
    email = an_email(attempts=TRIED, not_before=at(61))

    assert followed(hints, email) == Done()
    assert hints.hinted == []


def test_a_failed_hint_is_left_to_the_sweep(hints: MemoryHints) -> None:
    hints.away = True

    assert followed(hints, an_email()) == Done()
