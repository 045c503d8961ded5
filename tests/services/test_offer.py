"""The sweep: whatever is due is offered, and nothing too often."""

from collections.abc import Callable
from typing import Any

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Email, Priority, State
from postroom.domain.errors import HintError, StoreUnavailableError
from postroom.domain.hint import Hint
from postroom.services import offer as offer_module
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
from tests.simulation import Simulation


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
    world.store.away = True

    with pytest.raises(StoreUnavailableError):
        world.offer()


def test_a_backlog_lets_what_is_fresh_go_first(
    world: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer_module, "BATCH", 2)
    for number, priority in enumerate([*[Priority.NORMAL] * 2, *Priority]):
        email_id = f"{number:024x}"
        world.store.put(an_email(email_id=email_id, due_at=at(-9), priority=priority))

    assert world.offer() == Swept(offered=5)

    queues = [queue for queue, _ in hinted(world)]
    assert queues == ["router", "router", "router", "router.low", "router.low"]
    assert world.email(f"{2:024x}").priority is Priority.HIGH


class TestBacklog:
    """More is due than one slice: it goes on as fast as it is taken, and no faster."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, size in {"SLICE": 4, "BATCH": 2, "MOST_WAITING": 10}.items():
            monkeypatch.setattr(offer_module, name, size)

    def test_so_many_hints_wait_and_no_more_than_a_slice_beyond(
        self, world: Simulation
    ) -> None:
        emails = [a_waiting_one(world, number) for number in range(50)]

        for _ in range(5):
            world.offer()

        assert len(hinted(world)) == 12
        offers = [world.email(email.email_id).offers for email in emails]
        assert offers == [1] * 12 + [0] * 38

    def test_it_goes_on_where_hints_were_taken(self, world: Simulation) -> None:
        for number in range(20):
            a_waiting_one(world, number)
        world.offer()
        world.hints.hinted.clear()

        assert world.offer() == Swept(offered=8)
        assert world.offer() == Swept()

    def test_no_hint_waits_twice_as_nobody_takes_them(self, world: Simulation) -> None:
        for number in range(20):
            a_waiting_one(world, number)

        for _ in range(10):
            world.offer()
            world.clock.advance(seconds(120))

        assert len(hinted(world)) == 12

    def test_what_falls_due_meanwhile_goes_first_and_by_its_own_priority(
        self, world: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offer_module, "SLICES", 3)
        for number in range(50):
            a_waiting_one(world, number)
        fresh = an_email(
            State.SCHEDULED, email_id="f" * 24, not_before=at(-1), due_at=at(-1)
        )
        world.store.put(fresh)

        world.offer()

        (queue, hint), *others = ((h.queue, h.what) for h in world.hints.hinted)
        assert (queue, hint.email_id) == ("router", fresh.email_id)
        assert {queue for queue, _ in others} == {"router.low"}

    def test_nothing_of_it_stands_before_what_is_accepted(
        self, world: Simulation
    ) -> None:
        for number in range(50):
            a_waiting_one(world, number)

        world.offer()

        assert {queue for queue, _ in hinted(world)} == {"router.low"}

    def test_what_is_less_than_a_slice_waits_for_room_too(
        self, world: Simulation
    ) -> None:
        for number in range(12):
            a_waiting_one(world, number)
        world.offer()
        late, fresh = a_waiting_one(world, 99), an_email(due_at=at(-1))
        world.store.put(fresh)

        assert world.offer() == Swept(offered=1)
        assert world.email(late.email_id).offers == 0
        assert world.email(fresh.email_id).offers == 1

    def test_what_falls_due_meanwhile_needs_no_room(self, world: Simulation) -> None:
        for number in range(50):
            a_waiting_one(world, number)
        world.offer()
        world.store.put(an_email(email_id="f" * 24, due_at=at(-1)))

        assert world.offer() == Swept(offered=1)
        assert world.email("f" * 24).offers == 1

    def test_what_needs_no_hint_needs_no_room(self, world: Simulation) -> None:
        for number in range(50):
            a_waiting_one(world, number)
        world.offer()
        lapsed = an_email(State.SENDING, email_id="e" * 24, due_at=at(-2000))
        world.store.put(lapsed)
        world.store.put(an_email(due_at=at(-3000), first_due_at=at(-90_000)))

        assert world.offer() == Swept(reconciled=1, expired=1)
        assert world.email(ID).reason == "expired"

    def test_it_ends_as_it_is_worked_off(self, world: Simulation) -> None:
        ids = world.post(50)
        world.flush()

        world.run(seconds(300))

        assert {world.email(email_id).state for email_id in ids} == {State.SENT}
        assert set(world.copies().values()) == {1}


def a_waiting_one(world: Simulation, number: int) -> Email:
    email = an_email(email_id=f"{number:024x}", due_at=at(-1000 + number))
    world.store.put(email)
    return email


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


class TestForgotten:
    """Redis was emptied or away: hints that were on their way are lost."""

    def test_all_that_had_a_hint_on_its_way_is_offered_at_once(
        self, world: Simulation
    ) -> None:
        world.store.put(an_email(due_at=at(59)))
        world.hints.forgotten = True

        assert world.offer() == Swept(offered=1)
        assert hinted(world) == [("router", 0)]
        assert world.offer() == Swept()

    def test_a_wait_that_redis_slept_is_offered_with_what_is_left_of_it(
        self, world: Simulation
    ) -> None:
        world.store.put(an_email(not_before=at(20), due_at=at(80)))
        world.hints.forgotten = True

        assert world.offer() == Swept(offered=1)
        assert hinted(world) == [("router", 20)]

    @pytest.mark.parametrize(
        "email",
        [
            pytest.param(an_email(not_before=at(61), due_at=at(61)), id="much-later"),
            pytest.param(an_email(State.SENDING, due_at=at(30)), id="leased"),
            pytest.param(an_email(State.UNKNOWN, due_at=at(30)), id="unknown"),
            pytest.param(a_parked_email(ALPHA), id="parked"),
            pytest.param(an_email(State.SENT), id="sent"),
        ],
    )
    def test_what_had_none_is_left_alone(self, world: Simulation, email: Email) -> None:
        world.store.put(email)
        world.hints.forgotten = True

        world.offer()

        assert world.email(ID) == email

    def test_a_run_that_is_cut_short_is_made_up_for(self, world: Simulation) -> None:
        ids = world.post(3)
        world.flush()
        world.store.fail_before = 1

        assert world.sweep() is None
        world.run(seconds(10))

        assert {world.email(email_id).state for email_id in ids} == {State.SENT}

    def test_while_redis_is_away_nothing_is_written(self, world: Simulation) -> None:
        world.store.put(an_email(due_at=at(-1)))
        world.hints.away = True

        with pytest.raises(HintError):
            world.offer()

        assert world.email(ID).offers == 0
        world.hints.away = False
        assert world.offer() == Swept(offered=1)

    def test_a_backlog_beyond_one_sweep_is_offered_whole(
        self, world: Simulation
    ) -> None:
        ids = world.post(1200)
        world.flush()

        assert world.sweep() == Swept(offered=len(ids))

    def test_what_is_too_much_for_one_sweep_is_left_to_the_next(
        self, world: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offer_module, "SLICE", 2)
        monkeypatch.setattr(offer_module, "SLICES", 2)
        world.post(5)
        world.flush()

        assert world.sweep() == Swept(offered=4)
        assert world.sweep() == Swept(offered=1)
