"""The router: hand over, park, put back or fail."""

from dataclasses import replace
from typing import Any

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Delivery, Email, State, WaitingFor
from postroom.domain.errors import StoreUnavailableError
from postroom.domain.hint import MAX_HOPS, Hint
from postroom.domain.policy import LONGEST_OFFER_WAIT
from postroom.domain.routing import Standing
from postroom.services.next_step import Dead, Done
from tests.builders import (
    ALPHA,
    BETA,
    ID,
    NOW,
    OUTCOMES,
    REFUSED_FOR_NOW,
    a_parked_email,
    a_routing,
    an_attempt,
    an_email,
    at,
    seconds,
)
from tests.simulation import Simulation


def stored(world: Simulation, **given: Any) -> Hint:
    return Hint.of(world.store.put(an_email(**given)))


def hinted(world: Simulation) -> list[tuple[str, float]]:
    return [(h.queue, h.delay.total_seconds()) for h in world.hints.hinted]


def both_away(world: Simulation) -> None:
    for name in (ALPHA, BETA):
        world.board.trip(name)


class TestHandOver:
    def test_it_costs_no_trip_to_the_store(self, world: Simulation) -> None:
        hint = Hint.of(an_email())
        world.store.away = True

        assert world.route(hint) == Done()
        assert [(h.queue, h.what) for h in world.hints.hinted] == [("send.alpha", hint)]

    def test_an_open_provider_gets_its_one_probe(self, world: Simulation) -> None:
        world.board.trip(ALPHA)
        world.clock.advance(seconds(60))

        world.route(replace(stored(world), email_id="1" * 24))
        world.route(replace(stored(world), email_id="2" * 24))

        (first, second) = world.hints.hinted
        assert (first.queue, second.queue) == ("send.alpha", "send.beta")
        assert isinstance(first.what, Hint)
        assert first.what.probe

    def test_a_second_ripe_provider_is_probed_by_the_next_email(
        self, world: Simulation
    ) -> None:
        both_away(world)
        world.clock.advance(seconds(60))

        for no in (1, 2):
            world.route(replace(stored(world), email_id=f"{no}" * 24))

        assert hinted(world) == [("send.alpha", 0), ("send.beta", 0)]

    def test_when_all_are_being_probed_the_next_one_waits(
        self, world: Simulation
    ) -> None:
        both_away(world)
        world.clock.advance(seconds(60))
        for no in (1, 2):
            world.route(replace(stored(world), email_id=f"{no}" * 24))
        world.hints.hinted.clear()

        world.route(stored(world))

        assert hinted(world) == []
        assert world.email(ID).waiting_for is WaitingFor.PROVIDER
        assert world.email(ID).not_before == at(62)

    def test_a_probe_that_finds_closed_doors_does_not_run_hot(
        self, lonely: Simulation
    ) -> None:
        lonely.board.trip(ALPHA)
        lonely.clock.advance(seconds(60))

        lonely.route(replace(stored(lonely), hops=MAX_HOPS))

        assert hinted(lonely) == [("router", 2)]

    def test_redis_away_is_left_to_the_sweep(self, world: Simulation) -> None:
        world.hints.away = True

        assert world.route(stored(world)) == Done()

    def test_explaining_uses_the_same_choice(self, world: Simulation) -> None:
        choice = world.route.choose(stored(world, provider=BETA), now=NOW)

        assert choice.provider == BETA
        assert [v.why.value for v in choice.verdicts] == ["pinned_elsewhere", "chosen"]


class TestPark:
    def test_the_first_is_the_probe_and_knocks(self, world: Simulation) -> None:
        hint = stored(world)
        both_away(world)

        assert world.route(hint) == Done()

        email = world.email(ID)
        assert email.waiting_for is WaitingFor.PROVIDER
        assert email.parked_for == (ALPHA, BETA)
        assert email.not_before is not None
        ((queue, wait_s),) = hinted(world)
        assert queue == "router"
        assert 30 <= wait_s <= 34
        assert email.not_before == at(wait_s)

    def test_the_others_wait_for_the_release(self, world: Simulation) -> None:
        both_away(world)
        world.route(stored(world, email_id="1" * 24))
        world.hints.hinted.clear()

        world.route(stored(world))

        assert hinted(world) == []
        assert world.email(ID).due_at == NOW + LONGEST_OFFER_WAIT

    def test_the_first_parked_in_a_pause_knocks_when_it_ends(
        self, lonely: Simulation
    ) -> None:
        lonely.board.pause(ALPHA, wait=seconds(30))

        lonely.route(stored(lonely))

        assert hinted(lonely) == [("router", 30)]

    def test_a_long_wait_is_left_to_the_sweep(self, lonely: Simulation) -> None:
        lonely.board.pause(ALPHA, wait=seconds(300))

        lonely.route(stored(lonely))

        assert hinted(lonely) == []
        assert lonely.email(ID).due_at == at(300)

    def test_a_drained_provider_is_knocked_at_by_nobody(
        self, lonely: Simulation
    ) -> None:
        lonely.board.drain(ALPHA)

        lonely.route(stored(lonely))

        assert hinted(lonely) == []
        assert lonely.email(ID).parked_for == (ALPHA,)

    def test_a_doubled_hint_writes_nothing(self, world: Simulation) -> None:
        both_away(world)
        email = world.store.put(a_parked_email(ALPHA, BETA))

        assert world.route(Hint.of(email)) == Done()
        assert world.email(ID) == email
        assert hinted(world) == []

    def test_the_end_of_its_own_back_off_is_waited_for_as_such(
        self, lonely: Simulation
    ) -> None:
        attempt = an_attempt(REFUSED_FOR_NOW, retry_at=at(20))

        lonely.route(stored(lonely, attempts=(attempt,)))

        email = lonely.email(ID)
        assert email.waiting_for is WaitingFor.BACKOFF
        assert email.parked_for == ()
        assert email.not_before == at(20)
        assert hinted(lonely) == [("router", 20)]

    def test_its_own_back_off_may_end_before_a_provider_is_back(
        self, world: Simulation
    ) -> None:
        attempt = an_attempt(REFUSED_FOR_NOW, retry_at=at(5))
        hint = stored(world, attempts=(attempt,))
        world.board.trip(BETA)

        world.route(hint)

        assert world.email(ID).parked_for == (BETA,)
        assert world.email(ID).not_before == at(5)
        assert hinted(world) == [("router", 5)]

    def test_redis_away_after_the_write_is_left_to_the_sweep(
        self, world: Simulation
    ) -> None:
        hint = stored(world)
        both_away(world)
        world.hints.away = True

        assert world.route(hint) == Done()
        assert world.email(ID).waiting_for is WaitingFor.PROVIDER

    def test_a_lost_write_leaves_it_to_the_winner(self, world: Simulation) -> None:
        hint = stored(world)
        both_away(world)

        def take(change: Change) -> None:
            world.store.put(an_email(State.SENDING))

        world.store.before_apply = take

        assert world.route(hint) == Done()
        assert hinted(world) == []

    def test_the_store_away_is_told_to_the_actor(self, world: Simulation) -> None:
        hint = stored(world)
        both_away(world)
        world.store.away = True

        with pytest.raises(StoreUnavailableError):
            world.route(hint)


class TestSchedule:
    """A hint that comes early must not make a scheduled email early."""

    def scheduled(self, world: Simulation, wait_s: float) -> Hint:
        email = an_email(
            State.SCHEDULED,
            not_before=at(wait_s),
            due_at=at(wait_s + 60),
            waiting_for=WaitingFor.SCHEDULE,
        )
        both_away(world)
        return Hint.of(world.store.put(email))

    @pytest.mark.parametrize(("wait_s", "hints"), [(40, [("router", 40)]), (61, [])])
    def test_it_is_not_parked_before_its_time(
        self, world: Simulation, wait_s: float, hints: list[Any]
    ) -> None:
        hint = self.scheduled(world, wait_s)

        assert world.route(hint) == Done()
        assert world.email(ID).state is State.SCHEDULED
        assert world.email(ID).not_before == at(wait_s)
        assert hinted(world) == hints

    def test_nor_does_it_fail_if_nobody_could_carry_it_by_now(
        self, world: Simulation
    ) -> None:
        hint = self.scheduled(world, 40)
        for name in (ALPHA, BETA):
            world.board.remember_refused_sender(name, hint.routing.from_domain)

        assert world.route(hint) == Done()
        assert world.email(ID).state is State.SCHEDULED
        assert hinted(world) == [("router", 40)]

    def test_in_its_time_it_is(self, world: Simulation) -> None:
        hint = self.scheduled(world, -1)

        world.route(hint)

        assert world.email(ID).state is State.QUEUED
        assert world.email(ID).waiting_for is WaitingFor.PROVIDER


class TestHops:
    def test_after_three_it_is_parked_for_a_moment(self, world: Simulation) -> None:
        hint = replace(stored(world), hops=MAX_HOPS)

        world.route(hint)

        email = world.email(ID)
        assert email.waiting_for is WaitingFor.PROVIDER
        assert email.parked_for == (ALPHA, BETA)
        assert email.not_before == at(2)
        assert hinted(world) == [("router", 2)]

    def test_up_to_then_it_is_handed_over(self, world: Simulation) -> None:
        world.route(replace(stored(world), hops=MAX_HOPS - 1))

        assert hinted(world) == [("send.alpha", 0)]


class TestFail:
    @pytest.mark.parametrize(
        ("given", "standing", "reason"),
        [
            pytest.param(
                {"routing": a_routing(size_bytes=9**9)},
                {},
                "no_provider",
                id="too-large",
            ),
            pytest.param({"provider": "gone"}, {}, "no_provider", id="pinned-to-gone"),
            pytest.param(
                {
                    "attempts": (
                        an_attempt(OUTCOMES["sender"]),
                        an_attempt(OUTCOMES["sender"], no=2, provider=BETA),
                    )
                },
                {},
                "sender_not_allowed",
                id="sender",
            ),
            pytest.param(
                {},
                {"unbuildable": frozenset({ALPHA, BETA})},
                "unbuildable",
                id="unbuildable",
            ),
        ],
    )
    def test_what_nobody_can_ever_carry_is_a_dead_letter(
        self,
        world: Simulation,
        given: dict[str, Any],
        standing: dict[str, Any],
        reason: str,
    ) -> None:
        hint = stored(world, **given)
        if standing:
            hint = replace(hint, standing=Standing(**standing))

        assert world.route(hint) == Dead(reason=reason)
        assert world.email(ID).state is State.FAILED
        assert world.email(ID).reason == reason

    def test_what_is_too_old_to_wait_is_a_dead_letter(self, world: Simulation) -> None:
        hint = stored(world, first_due_at=at(-90_000))
        both_away(world)

        assert world.route(hint) == Dead(reason="expired")

    def test_a_lost_write_leaves_it_to_the_winner(self, world: Simulation) -> None:
        hint = stored(world, provider="gone")

        def take(change: Change) -> None:
            world.store.put(an_email(State.SENDING))

        world.store.before_apply = take

        assert world.route(hint) == Done()
        assert world.email(ID).state is State.SENDING

    @pytest.mark.parametrize(
        "email",
        [None, *(an_email(s) for s in sorted(set(State) - {"queued", "scheduled"}))],
    )
    def test_what_is_in_hand_or_settled_is_left(
        self, world: Simulation, email: Email | None
    ) -> None:
        hint = replace(Hint.of(an_email()), provider="gone")
        if email is not None:
            world.store.put(email)

        assert world.route(hint) == Done()
        assert world.store.load(ID) == email


def test_what_must_not_go_out_twice_is_a_probe_only_at_need(
    world: Simulation,
) -> None:
    hint = stored(world, delivery=Delivery.AT_MOST_ONCE)
    world.board.trip(ALPHA)
    world.clock.advance(seconds(60))

    world.route(hint)

    assert hinted(world) == [("send.beta", 0)]
