"""A dead letter goes again: when, how often, and what must not."""

from dataclasses import replace

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Delivery, State
from postroom.domain.errors import EmailNotFoundError, ForbiddenTransitionError
from tests.builders import (
    ACCEPTED,
    ALPHA,
    OUTCOMES,
    REFUSED_FOR_GOOD,
    TIMED_OUT,
    seconds,
)
from tests.simulation import Simulation


def a_dead_letter(world: Simulation) -> str:
    world.providers[ALPHA].answers(REFUSED_FOR_GOOD, ACCEPTED)
    (email_id,) = world.post()
    world.run()
    assert world.email(email_id).state is State.FAILED
    return email_id


def test_a_dead_letter_goes_again_at_once(world: Simulation) -> None:
    email_id = a_dead_letter(world)

    waiting = world.redrive(email_id)
    world.take_hints()
    world.run()

    assert (waiting.state, waiting.redrives) == (State.QUEUED, 1)
    assert world.email(email_id).state is State.SENT
    assert world.copies() == {email_id: 1}


def test_without_redis_the_sweep_takes_it_up(world: Simulation) -> None:
    email_id = a_dead_letter(world)
    world.hints.away = True

    world.redrive(email_id)
    world.hints.away = False
    world.run()

    assert world.email(email_id).state is State.SENT


def test_a_write_in_between_is_read_again(world: Simulation) -> None:
    email_id = a_dead_letter(world)
    rivals = [replace(world.email(email_id), fence=99)]

    def a_rival_writes(_: Change) -> None:
        if rivals:
            world.store.put(rivals.pop())

    world.store.before_apply = a_rival_writes

    assert world.redrive(email_id).fence == 100


def test_an_unknown_one_goes_again_by_force_and_is_recorded(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, ACCEPTED)
    (email_id,) = world.post(delivery=Delivery.AT_MOST_ONCE)
    world.run()
    assert world.email(email_id).is_held

    with pytest.raises(ForbiddenTransitionError, match="may be out"):
        world.redrive(email_id)
    world.redrive(email_id, force=True)
    world.take_hints()
    world.run()

    email = world.email(email_id)
    assert email.state is State.SENT
    assert email.possible_duplicates[0].earlier == (email.attempts[0].id,)


def test_what_was_sent_does_not_go_again(world: Simulation) -> None:
    (email_id,) = world.post()
    world.run()

    with pytest.raises(ForbiddenTransitionError, match="sent is no dead letter"):
        world.redrive(email_id)


def test_an_id_of_no_email_is_said_so(world: Simulation) -> None:
    with pytest.raises(EmailNotFoundError, match="0000"):
        world.redrive("0" * 24)


def test_age_counts_anew(world: Simulation) -> None:
    email_id = a_dead_letter(world)
    world.clock.advance(world.policy.max_age * 3)

    world.redrive(email_id)
    world.take_hints()
    world.run(seconds(30))

    assert world.email(email_id).state is State.SENT


def test_a_sender_verified_since_is_tried_again(world: Simulation) -> None:
    for provider in world.providers.values():
        provider.answers(OUTCOMES["sender"])
    (email_id,) = world.post()
    world.run(seconds(30))
    assert world.email(email_id).reason == "sender_not_allowed"
    world.providers[ALPHA].answers(ACCEPTED)

    world.redrive(email_id)
    world.take_hints()
    world.run(seconds(30))

    assert world.email(email_id).state is State.SENT


def test_a_sender_that_is_still_refused_fails_again(world: Simulation) -> None:
    for provider in world.providers.values():
        provider.answers(OUTCOMES["sender"])
    (email_id,) = world.post()
    world.run(seconds(30))

    world.redrive(email_id)
    world.take_hints()
    world.run(seconds(30))

    assert world.email(email_id).reason == "sender_not_allowed"
    assert len(world.calls) == 4
