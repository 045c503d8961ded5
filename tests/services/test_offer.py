"""The sweep: whatever is due is offered, and nothing too often."""

from collections.abc import Callable
from typing import Any

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Email, State
from postroom.domain.errors import HintError, StoreUnavailableError
from postroom.domain.hint import Hint
from postroom.services.offer import Swept
from tests.builders import (
    ALPHA,
    ID,
    a_held_email,
    a_parked_email,
    an_email,
    at,
    seconds,
)
from tests.simulation import FaultyStore, Simulation


def hinted(world: Simulation) -> list[tuple[str, float]]:
    return [(h.queue, h.delay.total_seconds()) for h in world.hints.hinted]


def test_what_is_due_is_offered_and_its_next_look_moves_on(world: Simulation) -> None:
    world.store.put(an_email(due_at=at(-1)))

    assert world.offer() == Swept(offered=1)
    assert hinted(world) == [("router", 0)]
    assert (world.email(ID).due_at, world.email(ID).offers) == (at(60), 1)
    assert world.offer() == Swept()


@pytest.mark.parametrize(
    "email",
    [
        pytest.param(an_email(not_before=at(1), due_at=at(59)), id="a-hint-is-coming"),
        pytest.param(an_email(not_before=at(61), due_at=at(61)), id="much-later"),
        pytest.param(an_email(State.SENDING, due_at=at(1)), id="leased"),
        pytest.param(an_email(State.UNKNOWN, due_at=at(1)), id="waits-for-word"),
        pytest.param(a_held_email(), id="held"),
        pytest.param(an_email(State.SENT), id="sent"),
        pytest.param(an_email(not_before=None, due_at=at(-1)), id="without-a-time"),
    ],
)
def test_what_is_not_due_is_left_alone(world: Simulation, email: Email) -> None:
    world.store.put(email)

    assert world.offer() == Swept()
    assert world.hints.hinted == []
    assert world.email(ID) == email


def test_what_falls_due_before_the_next_run_gets_a_delayed_hint(
    world: Simulation,
) -> None:
    world.store.put(an_email(State.SCHEDULED, not_before=at(40), due_at=at(40)))

    assert world.offer() == Swept(offered=1)
    assert hinted(world) == [("router", 40)]
    assert world.email(ID).due_at == at(100)


@pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN])
def test_what_nobody_has_in_hand_any_more_is_reconciled(
    world: Simulation, state: State
) -> None:
    world.store.put(an_email(state, due_at=at(0)))

    assert world.offer() == Swept(reconciled=1)
    assert hinted(world) == [("reconcile", 0)]


def test_what_is_too_old_fails(world: Simulation) -> None:
    world.store.put(an_email(due_at=at(-1), first_due_at=at(-90_000)))

    assert world.offer() == Swept(expired=1)
    assert world.email(ID).reason == "expired"


@pytest.mark.parametrize("first_due_at", [at(-90_000), at(-60)], ids=["old", "young"])
def test_what_somebody_took_meanwhile_is_theirs(
    world: Simulation, first_due_at: Any
) -> None:
    world.store.put(an_email(due_at=at(-1), first_due_at=first_due_at))

    def take(change: Change) -> None:
        world.store.put(an_email(State.SENDING))

    world.store.before_apply = take

    assert world.offer() == Swept()
    assert world.email(ID).state is State.SENDING
    assert world.hints.hinted == []


def test_redis_away_ends_the_sweep(world: Simulation) -> None:
    world.store.put(an_email(due_at=at(-1)))
    world.hints.away = True

    with pytest.raises(HintError):
        world.offer()


def test_the_store_away_ends_the_sweep(world: Simulation) -> None:
    class Away(FaultyStore):
        def due(self, *_: Any, **__: Any) -> Any:
            raise StoreUnavailableError("away")

    world = Simulation(store=Away())

    with pytest.raises(StoreUnavailableError):
        world.offer()


class TestParked:
    """What waits for a provider is woken as soon as it is back."""

    @pytest.mark.parametrize(
        ("prepare", "queues"),
        [
            pytest.param(lambda _: None, ["release"], id="healthy"),
            pytest.param(lambda world: world.board.drain(ALPHA), [], id="drained"),
            pytest.param(
                lambda world: world.board.pause(ALPHA, wait=seconds(9)),
                [],
                id="paused",
            ),
            pytest.param(lambda world: world.board.trip(ALPHA), [], id="open"),
            pytest.param(
                lambda world: (
                    world.board.trip(ALPHA),
                    world.clock.advance(seconds(60)),
                ),
                ["router"],
                id="ripe-for-a-probe",
            ),
        ],
    )
    def test_by_the_providers_health(
        self,
        world: Simulation,
        prepare: Callable[[Simulation], object],
        queues: list[str],
    ) -> None:
        parked = world.store.put(a_parked_email(ALPHA))
        prepare(world)

        world.offer()

        assert [h.queue for h in world.hints.hinted] == queues
        if queues == ["router"]:
            assert world.hints.hinted[0].what == Hint.of(parked)

    def test_with_nothing_parked_nobody_is_woken(self, world: Simulation) -> None:
        world.offer()

        assert world.hints.hinted == []
