"""What becomes of an email that nobody has in hand any more."""

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Delivery, State
from postroom.domain.errors import StoreUnavailableError
from postroom.services.next_step import Done
from tests.builders import ID, an_attempt, an_email, at
from tests.simulation import Simulation


def test_an_email_that_is_not_there_is_left(world: Simulation) -> None:
    assert world.reconcile(ID) == Done()


@pytest.mark.parametrize("state", State)
def test_nothing_is_done_before_its_time(world: Simulation, state: State) -> None:
    email = world.store.put(an_email(state))

    assert world.reconcile(ID) == Done()
    assert world.email(ID) == email
    assert world.hints.hinted == []


def test_a_lease_that_ended_early_waits_for_word(world: Simulation) -> None:
    attempt = an_attempt(started_at=at(-20))
    world.store.put(an_email(State.SENDING, due_at=at(0), attempts=(attempt,)))

    world.reconcile(ID)

    assert world.email(ID).state is State.UNKNOWN
    (hinted,) = world.hints.hinted
    assert (hinted.queue, hinted.delay.total_seconds()) == ("reconcile", 25)


def test_when_the_wait_after_a_lease_is_over_too_it_goes_on_at_once(
    world: Simulation,
) -> None:
    attempt = an_attempt(started_at=at(-60))
    world.store.put(an_email(State.SENDING, due_at=at(0), attempts=(attempt,)))

    world.reconcile(ID)

    assert world.email(ID).state is State.QUEUED
    assert [h.queue for h in world.hints.hinted] == ["router"]


def test_what_must_not_go_out_twice_is_held(world: Simulation) -> None:
    delivery = Delivery.AT_MOST_ONCE
    world.store.put(an_email(State.SENDING, due_at=at(0), delivery=delivery))

    world.reconcile(ID)

    assert world.email(ID).is_held
    assert world.hints.hinted == []


def test_somebody_elses_write_is_read_and_stands(world: Simulation) -> None:
    world.store.put(an_email(State.UNKNOWN, due_at=at(0)))

    def settle_first(change: Change) -> None:
        world.store.put(an_email(State.SENT, fence=9))

    world.store.before_apply = settle_first

    assert world.reconcile(ID) == Done()
    assert world.email(ID).state is State.SENT


def test_the_store_away_is_told_to_the_actor(world: Simulation) -> None:
    world.store.away = True

    with pytest.raises(StoreUnavailableError):
        world.reconcile(ID)


def test_a_lapsed_attempt_is_logged_once(
    world: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    """Not again when the wait after it is over."""
    attempt = an_attempt(started_at=at(-60))
    world.store.put(an_email(State.SENDING, due_at=at(0), attempts=(attempt,)))

    world.reconcile(ID)

    (record,) = caplog.records
    assert record.getMessage() == "email.lapsed"
    assert vars(record)["provider"] == attempt.provider
