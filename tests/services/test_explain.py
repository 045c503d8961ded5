"""The explanation is what the router would do, and nothing is done."""

import pytest

from postroom.adapters.clock import FakeClock
from postroom.domain.routing import Why
from postroom.services.explain import Explain
from tests.builders import (
    ALPHA,
    BETA,
    NOW,
    a_hint,
    a_new_email,
    a_profile,
    a_routing,
    an_email,
)
from tests.simulation import Simulation


@pytest.fixture
def world() -> Simulation:
    return Simulation(profiles=(a_profile(ALPHA), a_profile(BETA)))


def explain(world: Simulation) -> Explain:
    return Explain(clock=world.clock, board=world.board, profiles=world.route.profiles)


def whys(world: Simulation, **given: object) -> dict[str, Why]:
    choice = explain(world)(a_new_email(**given))
    return {verdict.provider: verdict.why for verdict in choice.verdicts}


def test_it_says_what_the_router_would_choose(world: Simulation) -> None:
    world.board.drain(ALPHA)
    new = a_new_email()

    choice = explain(world)(new)

    email = an_email(routing=a_routing(size_bytes=7), content=new.content)
    assert choice.provider == BETA
    assert choice == world.route.choose(a_hint(email), now=world.clock.now())
    assert whys(world) == {ALPHA: Why.DRAINED, BETA: Why.CHOSEN}


def test_a_pin_and_what_nobody_can_carry_are_explained_and_not_refused(
    world: Simulation,
) -> None:
    choice = explain(world)(a_new_email(provider="gone"))

    assert (choice.provider, choice.wait_until) == (None, None)
    assert set(whys(world, provider="gone").values()) == {Why.PINNED_ELSEWHERE}


def test_nothing_is_stored_or_hinted(world: Simulation) -> None:
    explain(world)(a_new_email())

    assert world.store.all() == []
    assert world.queue == []
    assert isinstance(world.clock, FakeClock)
    assert world.clock.now() == NOW
