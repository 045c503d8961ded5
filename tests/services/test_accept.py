"""Accepting: stored, then hinted at, whatever becomes of the hint."""

from typing import Any

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email, State
from postroom.domain.errors import (
    ClockUnsureError,
    NotStoredError,
    StorageUnsureError,
    UncarriableError,
)
from tests.builders import ALPHA, GAMMA, a_content, a_new_email, a_recipient, at
from tests.simulation import Simulation


def test_an_accepted_email_is_stored_and_offered_to_the_router(
    world: Simulation,
) -> None:
    email = world.accept(a_new_email())

    assert world.email(email.email_id) == email
    (hinted,) = world.hints.hinted
    assert (hinted.queue, hinted.delay.total_seconds()) == ("router", 0)
    assert hinted.what.email_id == email.email_id  # type: ignore[union-attr]


def test_a_lost_hint_is_no_reason_to_refuse(world: Simulation) -> None:
    world.hints.away = True

    email = world.accept(a_new_email())

    assert world.email(email.email_id).due_at is not None


@pytest.mark.parametrize(("wait_s", "hints"), [(60, 1), (61, 0)])
def test_only_a_short_wait_is_left_to_the_queue(
    world: Simulation, wait_s: int, hints: int
) -> None:
    email = world.accept(a_new_email(scheduled_at=at(wait_s)))

    assert email.state is State.SCHEDULED
    assert [h.delay.total_seconds() for h in world.hints.hinted] == [wait_s] * hints


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"provider": GAMMA}, "pinned_elsewhere"),
        ({"recipients": (a_recipient(),) * 51}, "too_many_recipients"),
        ({"content": a_content(text="x" * 1_000_001)}, "too_large"),
    ],
)
def test_what_no_provider_could_ever_carry_is_refused(
    world: Simulation, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UncarriableError) as caught:
        world.accept(a_new_email(**given))

    assert caught.value.reasons[ALPHA] == reason
    assert world.store.all() == []


def test_a_provider_that_is_only_away_is_no_reason_to_refuse(
    lonely: Simulation,
) -> None:
    lonely.board.trip(ALPHA)

    assert lonely.accept(a_new_email()).state is State.QUEUED


def test_without_the_stores_time_nothing_is_stored() -> None:
    class Unsure(FakeClock):
        def now(self) -> Any:
            raise ClockUnsureError("not seen")

    world = Simulation()
    world.clock = Unsure()
    world.configure(ALPHA)

    with pytest.raises(NotStoredError):
        world.accept(a_new_email())

    assert world.store.all() == []


@pytest.mark.parametrize(
    "error", [NotStoredError("no"), StorageUnsureError("hm", email_id="1")]
)
def test_what_may_not_be_stored_is_not_hinted_at(error: Exception) -> None:
    class Away(MemoryStore):
        def insert(self, email: Email) -> None:
            raise error

    world = Simulation(store=Away())

    with pytest.raises(type(error)):
        world.accept(a_new_email())

    assert world.hints.hinted == []
