"""Recording: by whoever asks, over whatever is stored by then."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Email, RecipientState, State
from postroom.domain.outcome import Accepted, Outcome, OutcomeWord
from postroom.services.next_step import Again, Done, NextStep
from postroom.services.settle import RECORD_PATIENCE
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    ID,
    NOT_SENT,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    a_recipient,
    an_attempt,
    an_email,
    at,
    seconds,
)
from tests.faulty_store import FaultyStore
from tests.simulation import Simulation


def settle(
    world: Simulation, email: Email | None, outcome: Outcome, attempt_id: str = ""
) -> NextStep:
    return world.settle(
        email,
        attempt_id=attempt_id or "attempt-1",
        outcome=outcome,
        latency=seconds(1),
    )


def test_a_result_is_written_with_patience(world: Simulation) -> None:
    waited: list[timedelta] = []

    class Patient(FaultyStore):
        def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
            waited.append(patience)
            return super().apply(change, patience=patience)

    world = Simulation(store=Patient())
    email = world.store.put(an_email(State.SENDING))

    settle(world, email, ACCEPTED)

    assert waited == [RECORD_PATIENCE]
    assert world.email(ID).state is State.SENT


def test_what_somebody_wrote_meanwhile_is_read_first(world: Simulation) -> None:
    claimed = an_email(State.SENDING)
    world.store.put(an_email(State.UNKNOWN, attempts=claimed.attempts, fence=8))

    settle(world, claimed, ACCEPTED)

    assert world.email(ID).state is State.SENT
    assert world.email(ID).fence == 9


def test_what_is_recorded_already_is_not_written_again(world: Simulation) -> None:
    email = world.store.put(an_email(State.SENT))

    assert settle(world, email, NOT_SENT) == Done()
    assert world.email(ID) == email


def test_an_email_that_is_gone_is_left(world: Simulation) -> None:
    assert settle(world, an_email(State.SENDING), ACCEPTED) == Done()
    assert settle(world, None, ACCEPTED) == Done()


def test_an_attempt_that_is_gone_is_left(world: Simulation) -> None:
    email = world.store.put(an_email(State.SENDING))

    assert settle(world, email, ACCEPTED, "nobody's") == Done()
    assert world.email(ID) == email


@pytest.mark.parametrize(
    ("prepare", "at_once"),
    [
        pytest.param(lambda _: None, True, id="healthy"),
        pytest.param(lambda world: world.board.trip(BETA), False, id="open"),
        pytest.param(lambda world: world.board.drain(BETA), False, id="drained"),
        pytest.param(
            lambda world: world.board.remember_refused_sender(BETA, "acme.example"),
            False,
            id="refuses-the-sender",
        ),
    ],
)
def test_only_another_that_can_have_it_gets_it_at_once(
    world: Simulation, prepare: Any, at_once: bool
) -> None:
    email = world.store.put(an_email(State.SENDING))
    prepare(world)

    step = settle(world, email, REFUSED_FOR_NOW)

    assert (step == Done()) is at_once
    assert isinstance(step, Again) is not at_once
    assert bool(world.hints.hinted) is at_once


def test_a_pinned_email_has_no_other(world: Simulation) -> None:
    email = world.store.put(an_email(State.SENDING, provider=ALPHA))

    assert isinstance(settle(world, email, REFUSED_FOR_NOW), Again)


def test_one_in_its_own_back_off_is_waited_for_not_forgotten(
    world: Simulation,
) -> None:
    """Beta has a share left, so the round goes on with it."""
    earlier = [
        an_attempt(REFUSED_FOR_NOW, no=no, retry_at=at(-1)) for no in range(1, 3)
    ]
    beta = an_attempt(REFUSED_FOR_NOW, no=3, provider=BETA, retry_at=at(3))
    last = an_attempt(no=4)
    email = world.store.put(
        an_email(State.SENDING, attempts=(*earlier, beta, last)),
    )

    settle(world, email, REFUSED_FOR_NOW, "attempt-4")

    assert world.email(ID).round == 1


def test_an_unknown_one_is_looked_at_when_its_grace_is_over(
    world: Simulation,
) -> None:
    email = world.store.put(an_email(State.SENDING))

    settle(world, email, TIMED_OUT)

    assert world.email(ID).attempts[0].outcome is OutcomeWord.UNKNOWN
    assert [h.queue for h in world.hints.hinted] == ["reconcile"]


def test_a_removed_providers_result_is_recorded(world: Simulation) -> None:
    attempt = an_attempt(provider="gone")
    email = world.store.put(an_email(State.SENDING, attempts=(attempt,)))

    settle(world, email, REFUSED_FOR_NOW)

    assert world.email(ID).state is State.QUEUED


def test_what_came_of_an_attempt_is_logged_without_an_address(
    world: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    email = world.store.put(an_email(State.SENDING))

    with caplog.at_level(logging.INFO, logger="postroom.services.settle"):
        settle(world, email, ACCEPTED)

    (record,) = caplog.records
    told = vars(record)
    assert record.getMessage() == "email.attempted"
    assert (told["email_id"], told["attempt"]) == (ID, 1)
    assert (told["outcome"], told["state"]) == ("accepted", "sent")
    assert "@" not in str(told)


def test_a_confirmed_duplicate_is_logged(
    world: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = an_attempt(ACCEPTED)
    email = an_email(
        State.SENDING,
        attempts=(earlier, an_attempt(no=2, provider=BETA)),
        recipients=(a_recipient(state=RecipientState.ACCEPTED),),
    )
    world.store.put(email)

    with caplog.at_level(logging.INFO, logger="postroom.services.settle"):
        world.settle(
            email,
            attempt_id="attempt-2",
            outcome=Accepted(provider_message_id="other"),
            latency=seconds(1),
        )

    told = {record.getMessage(): vars(record) for record in caplog.records}
    assert set(told) == {"email.attempted", "email.confirmed_duplicate"}
    assert told["email.confirmed_duplicate"]["provider"] == BETA
