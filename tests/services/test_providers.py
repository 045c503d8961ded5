"""Orders to the breakers, and what becomes of parked mail by them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.domain.email import State, WaitingFor
from postroom.domain.errors import (
    BreakersAwayError,
    InvalidValueError,
    StoreUnavailableError,
    UnknownProviderError,
)
from postroom.domain.outcome import Accepted
from postroom.domain.routing import BreakerState
from postroom.services.providers import Providers
from tests.builders import ALPHA, BETA, REFUSED_FOR_NOW, a_parked_email, seconds
from tests.services.findings import Queues, a_lonely_board
from tests.simulation import Simulation


def of(world: Simulation, *, board: MemoryBreakerBoard | None = None) -> Providers:
    return Providers(
        panel=board or world.board,
        archive=MemoryArchive(world.store),
        hints=world.hints,
        queues=Queues(),
        names=tuple(world.providers),
    )


def test_each_is_seen_with_what_waits_for_it(world: Simulation) -> None:
    world.store.put(a_parked_email(BETA))
    of(world).trip(ALPHA)

    alpha, beta = of(world)()

    assert (alpha.name, alpha.view.health.state) == (ALPHA, BreakerState.OPEN)
    assert (beta.name, beta.view.health.state) == (BETA, BreakerState.CLOSED)
    assert (alpha.parked, beta.parked) == (0, 1)


def test_what_its_queues_hold_is_seen_if_redis_tells(world: Simulation) -> None:
    messages = {"send.alpha": 2, "send.alpha.high": 1, "send.gone": 4, "router": 5}

    told = replace(of(world), queues=Queues(messages))
    silent = replace(of(world), queues=Queues(None))

    assert [each.queued for each in told()] == [3, 0]
    assert [each.queued for each in silent()] == [None, None]
    assert told.trip(ALPHA).queued == 3


def test_an_order_is_answered_with_what_it_led_to(world: Simulation) -> None:
    providers = of(world)

    assert providers.trip(ALPHA).view.health.state is BreakerState.OPEN
    assert providers.reset(ALPHA).view.health.state is BreakerState.CLOSED
    assert providers.drain(ALPHA).view.health.drained
    assert not providers.resume(ALPHA).view.health.drained


@pytest.mark.parametrize("verb", ["trip", "reset", "drain", "resume"])
def test_there_is_no_order_to_what_is_not_configured(
    world: Simulation, verb: str
) -> None:
    order: Callable[[str], object] = getattr(of(world), verb)

    with pytest.raises(UnknownProviderError, match="only alpha, beta"):
        order("gamma")
    assert world.hints.hinted == []


def parked_by_an_outage(world: Simulation, count: int = 30) -> list[str]:
    """Break the only provider, and post what can then only wait."""
    world.providers[ALPHA].answers(REFUSED_FOR_NOW)
    world.post(10)
    world.run(seconds(20))
    ids = world.post(count)
    world.run(seconds(5))
    assert world.board.view(ALPHA).health.state is BreakerState.OPEN
    assert {world.email(i).waiting_for for i in ids} == {WaitingFor.PROVIDER}
    world.providers[ALPHA].answers(Accepted(provider_message_id="m"))
    return ids


def seconds_until_all_are_sent(world: Simulation, ids: list[str]) -> float:
    began = world.clock.now()
    while any(world.email(i).state is not State.SENT for i in ids):
        world.run(seconds(0.5))
        assert world.clock.now() - began < timedelta(minutes=10)
    return (world.clock.now() - began).total_seconds()


def test_a_reset_lets_parked_mail_go_no_later_than_a_timed_recovery() -> None:
    timed, manual = Simulation(ALPHA), Simulation(ALPHA)
    for world in (timed, manual):
        ids = parked_by_an_outage(world)
    # In the one the breaker's own probe closes it, in the other an operator does.
    while timed.board.view(ALPHA).health.state is not BreakerState.CLOSED:
        timed.run(seconds(0.5))
    by_itself = seconds_until_all_are_sent(timed, ids)

    of(manual).reset(ALPHA)
    manual.take_hints()
    by_hand = seconds_until_all_are_sent(manual, ids)

    assert by_hand <= by_itself + 0.5


def test_a_resumed_provider_gets_its_parked_mail_at_once(lonely: Simulation) -> None:
    providers = of(lonely)
    providers.drain(ALPHA)
    ids = lonely.post(5)
    lonely.run(seconds(5))
    assert {lonely.email(i).state for i in ids} == {State.QUEUED}
    lonely.sweeps = False

    providers.resume(ALPHA)
    lonely.take_hints()
    lonely.run(seconds(5))

    assert {lonely.email(i).state for i in ids} == {State.SENT}


def test_without_hints_the_sweep_lets_it_go(lonely: Simulation) -> None:
    ids = parked_by_an_outage(lonely, 5)
    lonely.hints.away = True

    of(lonely).reset(ALPHA)
    lonely.hints.away = False
    lonely.run(seconds(20))

    assert {lonely.email(i).state for i in ids} == {State.SENT}


def test_while_redis_is_away_nothing_is_claimed(world: Simulation) -> None:
    board = a_lonely_board(world)

    with pytest.raises(BreakersAwayError, match="cannot be read"):
        of(world, board=board)()
    with pytest.raises(BreakersAwayError, match="order was not taken"):
        of(world, board=board).reset(ALPHA)
    assert world.hints.hinted == []


def test_a_store_that_is_away_hides_no_breaker(world: Simulation) -> None:
    asked: list[str] = []

    class Away(MemoryArchive):
        def parked_count(self, provider: str) -> int:
            asked.append(provider)
            raise StoreUnavailableError("away")

    providers = Providers(
        panel=world.board,
        archive=Away(world.store),
        hints=world.hints,
        queues=Queues(),
        names=(ALPHA, BETA),
    )

    assert [status.parked for status in providers()] == [None, None]
    assert asked == [ALPHA], "each further question would wait as long"
    assert providers.trip(BETA).parked is None


def test_messages_of_a_provider_that_is_gone_are_forgotten_and_counted(
    world: Simulation,
) -> None:
    queues = Queues({"send.old": 3, "send.old.low": 1, "send.alpha": 5})
    providers = replace(of(world), queues=queues)

    assert providers.forget("old") == 4
    assert providers.forget("old") == 0
    assert queues.messages == {"send.alpha": 5}


def test_messages_of_a_configured_provider_stay(world: Simulation) -> None:
    queues = Queues({"send.alpha": 5})

    with pytest.raises(InvalidValueError, match="alpha is in POSTROOM_PROVIDERS"):
        replace(of(world), queues=queues).forget(ALPHA)

    assert queues.messages == {"send.alpha": 5}


def test_nothing_is_forgotten_while_redis_is_away(world: Simulation) -> None:
    with pytest.raises(BreakersAwayError):
        replace(of(world), queues=Queues(None)).forget("old")
