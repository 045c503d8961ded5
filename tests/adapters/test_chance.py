"""Chance: the shape of what it draws, on both implementations."""

import re

import pytest
from bson import ObjectId

from postroom.adapters.chance import SeededChance, SystemChance
from postroom.domain.ports import Chance
from tests.adapters.breakers.parts import at_once


@pytest.fixture(params=[SystemChance, SeededChance])
def chance(request: pytest.FixtureRequest) -> Chance:
    built: Chance = request.param()
    return built


def test_a_jitter_is_from_0_to_under_1(chance: Chance) -> None:
    assert all(0 <= chance.jitter() < 1 for _ in range(1000))


def test_an_email_id_is_an_object_id(chance: Chance) -> None:
    email_id = chance.email_id()

    assert str(ObjectId(email_id)) == email_id


def test_an_attempt_id_is_128_bits(chance: Chance) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", chance.attempt_id())


def test_no_id_comes_twice(chance: Chance) -> None:
    ids = [chance.email_id() for _ in range(1000)]
    ids += [chance.attempt_id() for _ in range(1000)]

    assert len(set(ids)) == 2000


def test_no_id_comes_twice_to_threads_that_draw_at_once(chance: Chance) -> None:
    def draw() -> list[str]:
        return [chance.attempt_id() for _ in range(200)] + [chance.email_id()]

    ids = [each for part in at_once(*[draw] * 8) for each in part]

    assert len(set(ids)) == len(ids)


def test_the_same_seed_draws_the_same() -> None:
    one, two, other = SeededChance(1), SeededChance(1), SeededChance(2)

    first = (one.jitter(), one.email_id(), one.attempt_id())

    assert first == (two.jitter(), two.email_id(), two.attempt_id())
    assert first != (other.jitter(), other.email_id(), other.attempt_id())
