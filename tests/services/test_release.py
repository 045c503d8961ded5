"""Parked emails go in order and at a pace, and only when their provider is back."""

from collections.abc import Callable

import pytest

from postroom.domain.change import Change
from postroom.domain.email import State
from postroom.domain.hint import Hint
from postroom.services.release import SLICE
from tests.builders import ALPHA, BETA, a_parked_email, an_email, at, seconds
from tests.simulation import Simulation


def park(world: Simulation, count: int, provider: str = ALPHA) -> list[str]:
    ids = [f"{no:024x}" for no in range(count)]
    for email_id in reversed(ids):
        world.store.put(a_parked_email(provider, email_id=email_id))
    return ids


def routed(world: Simulation) -> list[tuple[str, float]]:
    return [
        (h.what.email_id, h.delay.total_seconds())
        for h in world.hints.hinted
        if isinstance(h.what, Hint)
    ]


def test_the_oldest_go_first_ten_a_second(world: Simulation) -> None:
    ids = park(world, 3)

    assert world.release(ALPHA) == 3
    assert routed(world) == [(ids[0], 0), (ids[1], 0.1), (ids[2], 0.2)]
    first, second = (world.email(email_id) for email_id in ids[:2])
    assert (first.not_before, second.not_before) == (at(0), at(0.1))
    assert first.parked_for == ()


def test_a_full_slice_asks_for_the_next(world: Simulation) -> None:
    park(world, 25)

    assert world.release(ALPHA) == 20
    assert [(h.what, h.delay) for h in world.hints.hinted if h.queue == "release"] == [
        (ALPHA, SLICE)
    ]


def test_the_time_that_a_slice_takes_does_not_slow_the_pace(world: Simulation) -> None:
    park(world, 25)
    world.store.before_apply = lambda _: world.clock.advance(seconds(0.05))

    world.release(ALPHA)

    (next_slice,) = (h for h in world.hints.hinted if h.queue == "release")
    assert next_slice.delay == SLICE - seconds(20 * 0.05)


def test_the_last_slice_does_not(world: Simulation) -> None:
    park(world, 3)

    world.release(ALPHA)

    assert all(h.queue != "release" for h in world.hints.hinted)


def test_the_pace_is_that_before_the_breaker_opened(world: Simulation) -> None:
    for _ in range(1200):
        world.post()
        world.clock.advance(seconds(0.02))
        world.step()
        world.step()
    world.board.trip(ALPHA)
    world.board.reset(ALPHA)
    park(world, 200)

    released = world.release(ALPHA)

    assert 80 <= released <= 120


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda world: world.board.trip(ALPHA), id="open"),
        pytest.param(lambda world: world.board.drain(ALPHA), id="drained"),
        pytest.param(
            lambda world: world.board.pause(ALPHA, wait=seconds(9)), id="paused"
        ),
    ],
)
def test_nothing_goes_while_the_provider_is_away(
    world: Simulation, prepare: Callable[[Simulation], object]
) -> None:
    park(world, 3)
    prepare(world)

    assert world.release(ALPHA) == 0
    assert world.hints.hinted == []


def test_it_goes_on_when_a_pause_is_over(world: Simulation) -> None:
    park(world, 3)
    world.board.pause(ALPHA, wait=seconds(9))
    world.clock.advance(seconds(9))

    assert world.release(ALPHA) == 3


def test_two_releases_at_once_do_not_double_the_pace(world: Simulation) -> None:
    park(world, 50)
    assert world.release(ALPHA) == 20

    assert world.release(ALPHA) == 0
    world.clock.advance(SLICE)
    assert world.release(ALPHA) == 20


def test_what_is_parked_for_another_stays(world: Simulation) -> None:
    park(world, 3, BETA)

    assert world.release(ALPHA) == 0


def test_what_somebody_took_meanwhile_is_theirs(world: Simulation) -> None:
    (email_id,) = park(world, 1)

    def take(change: Change) -> None:
        world.store.put(an_email(State.SENDING, email_id=email_id))

    world.store.before_apply = take

    assert world.release(ALPHA) == 0
    assert routed(world) == []


def test_a_provider_that_is_gone_is_released_no_more(world: Simulation) -> None:
    (email_id,) = park(world, 1, BETA)
    world.configure(ALPHA)

    assert world.release(BETA) == 0
    assert world.email(email_id).parked_for == (BETA,)
