"""What was asked for lately is not asked for again, until it has changed."""

from dataclasses import replace

import pytest

from postroom.domain.email import State
from postroom.services import asked as asked_module
from postroom.services.asked import Asked
from postroom.services.offer import Swept
from tests.builders import ID, an_email, at, seconds
from tests.simulation import Simulation

EMAIL = an_email(State.SENDING, due_at=at(0))
GRACE = seconds(60)


def test_only_what_was_not_asked_for_within_the_grace_is_new() -> None:
    asked = Asked()

    assert asked.new([EMAIL], now=at(0), grace=GRACE) == [EMAIL]
    asked.note([EMAIL], now=at(0))

    assert asked.new([EMAIL], now=at(59), grace=GRACE) == []
    assert asked.new([EMAIL], now=at(60), grace=GRACE) == [EMAIL]


def test_what_was_settled_since_is_new() -> None:
    asked = Asked()
    asked.note([EMAIL], now=at(0))
    settled = replace(EMAIL, fence=EMAIL.fence + 1)

    assert asked.new([settled], now=at(1), grace=GRACE) == [settled]


def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_module, "MOST", 1)
    asked = Asked()
    emails = [an_email(State.SENDING, email_id=f"{no:024x}") for no in range(3)]

    asked.note(emails, now=at(0))
    asked.note(emails[:1], now=at(0))

    assert asked.new(emails, now=at(1), grace=GRACE) == emails[1:]


def test_a_queue_that_is_slow_does_not_get_the_same_ones_again(
    world: Simulation,
) -> None:
    world.store.put(EMAIL)

    assert world.offer() == Swept(reconciled=1)
    assert world.offer() == Swept()
    world.clock.advance(seconds(61))
    assert world.offer() == Swept(reconciled=1)


def test_what_redis_forgot_is_asked_for_at_once(world: Simulation) -> None:
    world.store.put(EMAIL)
    world.offer()
    world.hints.forgotten = True

    assert world.offer() == Swept(reconciled=1)
    assert [h.what for h in world.hints.hinted] == [ID, ID]
