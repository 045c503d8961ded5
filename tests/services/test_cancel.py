"""Cancelled email is not sent, whatever was on its way."""

from dataclasses import replace

import pytest

from postroom.domain.change import Change
from postroom.domain.email import State
from postroom.domain.errors import EmailNotFoundError, ForbiddenTransitionError
from tests.builders import TIMED_OUT, at, seconds
from tests.simulation import Simulation


def test_a_cancelled_email_is_not_sent_though_its_hint_is_out(
    world: Simulation,
) -> None:
    (email_id,) = world.post()

    assert world.cancel(email_id).state is State.CANCELLED
    world.run()

    assert world.calls == []
    assert world.email(email_id).state is State.CANCELLED


def test_one_that_is_claimed_in_between_is_not_cancelled(world: Simulation) -> None:
    (email_id,) = world.post()
    claims = [1]

    def a_worker_claims(change: Change) -> None:
        if claims:
            claims.clear()
            world.step()  # routed
            world.step()  # claimed, called and recorded

    world.store.before_apply = a_worker_claims

    with pytest.raises(ForbiddenTransitionError, match="sent cannot be cancelled"):
        world.cancel(email_id)
    assert world.copies() == {email_id: 1}


def test_by_force_also_what_may_be_out(world: Simulation) -> None:
    for provider in world.providers.values():
        provider.answers(TIMED_OUT)
    (email_id,) = world.post()
    world.run(seconds(1))

    with pytest.raises(ForbiddenTransitionError, match="may be out"):
        world.cancel(email_id)
    calls = len(world.calls)
    world.cancel(email_id, force=True)
    world.run()

    assert len(world.calls) == calls


def test_an_id_of_no_email_is_said_so(world: Simulation) -> None:
    with pytest.raises(EmailNotFoundError):
        world.cancel("0" * 24)
    with pytest.raises(EmailNotFoundError):
        world.reschedule("0" * 24, to=at(60))


@pytest.mark.parametrize("to_s", [30, 3600])
@pytest.mark.parametrize("from_s", [40, 7200])
def test_a_moved_one_goes_at_its_new_time(
    world: Simulation, from_s: int, to_s: int
) -> None:
    (email_id,) = world.post(scheduled_at=at(from_s))

    world.reschedule(email_id, to=at(to_s))
    world.take_hints()
    world.run(seconds(8000))

    (call,) = world.calls
    assert at(to_s) <= call.at <= at(to_s + 6)


def test_a_write_in_between_is_read_again(world: Simulation) -> None:
    (email_id,) = world.post(scheduled_at=at(600))
    rivals = [replace(world.email(email_id), fence=9)]

    def a_rival_writes(_: Change) -> None:
        if rivals:
            world.store.put(rivals.pop())

    world.store.before_apply = a_rival_writes

    assert world.reschedule(email_id, to=at(60)).fence == 10


def test_without_redis_the_sweep_has_the_new_time(world: Simulation) -> None:
    (email_id,) = world.post(scheduled_at=at(600))
    world.hints.away = True
    world.reschedule(email_id, to=at(60))
    world.hints.away = False

    world.run(seconds(400))

    assert world.email(email_id).state is State.SENT
