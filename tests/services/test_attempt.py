"""One attempt: the order of its steps is the protocol."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Email, State
from postroom.domain.errors import ClockUnsureError, StoreUnavailableError
from postroom.domain.hint import Hint
from postroom.domain.outcome import Outcome
from postroom.domain.ports import Permit, Report
from postroom.domain.routing import BreakerState, Standing
from postroom.services.next_step import Again, Dead, Done
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    ID,
    OUTCOMES,
    REFUSED_FOR_GOOD,
    REFUSED_FOR_NOW,
    a_hint,
    an_attempt,
    an_email,
    at,
    seconds,
)
from tests.simulation import Crash, Simulation


def stored(world: Simulation, **given: Any) -> Hint:
    """Store an email; return the hint to it."""
    return Hint.of(world.store.put(an_email(**given)))


def calls(world: Simulation) -> int:
    return len(world.calls)


def handed_back(world: Simulation) -> Hint:
    (hinted,) = world.hints.hinted
    assert hinted.queue == "router"
    assert isinstance(hinted.what, Hint)
    return hinted.what


def test_the_claim_is_stored_before_the_call(world: Simulation) -> None:
    hint = stored(world)
    seen: list[Email] = []

    def look(email: Email) -> Outcome:
        seen.append(world.email(ID))
        return ACCEPTED

    world.providers[ALPHA].answer = look

    assert world.attempt(ALPHA, hint) == Done()
    assert seen[0].state is State.SENDING
    assert seen[0].attempts[0].provider == ALPHA
    assert world.email(ID).state is State.SENT


def test_a_refusal_for_good_is_dead(world: Simulation) -> None:
    world.providers[ALPHA].answers(REFUSED_FOR_GOOD)

    assert world.attempt(ALPHA, stored(world)) == Dead(reason="refused")


def test_a_wait_at_the_same_provider_puts_the_message_back(lonely: Simulation) -> None:
    lonely.providers[ALPHA].answers(REFUSED_FOR_NOW)

    step = lonely.attempt(ALPHA, stored(lonely))

    assert isinstance(step, Again)
    assert seconds(1) <= step.delay <= seconds(2)
    assert lonely.hints.hinted == []


class TestNoRight:
    """Being hinted gives no right."""

    def test_an_email_that_is_not_there_is_left(self, world: Simulation) -> None:
        assert world.attempt(ALPHA, a_hint()) == Done()

    @pytest.mark.parametrize(
        "state", sorted(set(State) - {State.QUEUED, State.SCHEDULED})
    )
    def test_what_is_in_hand_or_settled_is_left(
        self, world: Simulation, state: State
    ) -> None:
        email = world.store.put(an_email(state))

        assert world.attempt(ALPHA, Hint.of(email)) == Done()
        assert calls(world) == 0
        assert world.email(ID) == email

    def test_what_is_too_old_is_left_to_the_sweep(self, world: Simulation) -> None:
        hint = stored(world, first_due_at=at(-90_000))

        assert world.attempt(ALPHA, hint) == Done()
        assert calls(world) == 0

    def test_a_provider_that_may_not_have_it_hands_it_back(
        self, world: Simulation
    ) -> None:
        hint = stored(world, provider=BETA)

        assert world.attempt(ALPHA, replace(hint, hops=1)) == Done()
        assert handed_back(world) == replace(hint, hops=2)
        assert calls(world) == 0

    def test_what_is_a_little_early_comes_back_in_time(self, world: Simulation) -> None:
        hint = stored(world, not_before=at(60))

        assert world.attempt(ALPHA, hint) == Again(delay=seconds(60))

    def test_what_is_much_too_early_is_dropped(self, world: Simulation) -> None:
        hint = stored(world, not_before=at(60.001))

        assert world.attempt(ALPHA, hint) == Done()
        assert world.hints.hinted == []

    def test_a_provider_in_its_back_off_waits_for_the_end(
        self, world: Simulation
    ) -> None:
        attempt = an_attempt(REFUSED_FOR_NOW, retry_at=at(7))

        step = world.attempt(ALPHA, stored(world, attempts=(attempt,)))

        assert step == Again(delay=seconds(7))


class TestPermit:
    def test_a_closed_door_sends_it_back_after_a_moment(
        self, world: Simulation
    ) -> None:
        hint = stored(world)
        world.board.trip(ALPHA)

        assert world.attempt(ALPHA, replace(hint, hops=1, probe=True)) == Done()

        (hinted,) = world.hints.hinted
        assert hinted.delay >= timedelta(milliseconds=250)
        assert hinted.what == replace(hint, hops=2)
        assert world.email(ID).attempts == ()

    def test_a_hint_that_redis_does_not_take_is_left_to_the_sweep(
        self, world: Simulation
    ) -> None:
        hint = stored(world)
        world.board.trip(ALPHA)
        world.hints.away = True

        assert world.attempt(ALPHA, hint) == Done()

    def test_a_probe_is_let_through_in_its_time(self, world: Simulation) -> None:
        hint = stored(world)
        world.board.trip(ALPHA)
        world.clock.advance(seconds(40))

        world.attempt(ALPHA, replace(hint, probe=True))

        assert world.email(ID).state is State.SENT
        assert world.board.health(ALPHA).state is BreakerState.CLOSED

    def test_a_lost_claim_gives_the_permit_back_as_neutral(
        self, world: Simulation
    ) -> None:
        hint = stored(world)
        told = reports(world)
        rival(world)

        assert world.attempt(ALPHA, hint) == Done()
        assert told == [Report(success=None)]
        assert calls(world) == 0

    def test_a_lost_claim_is_logged(
        self, world: Simulation, caplog: pytest.LogCaptureFixture
    ) -> None:
        hint = stored(world)
        rival(world)

        with caplog.at_level(logging.INFO, logger="postroom.services.attempt"):
            world.attempt(ALPHA, hint)

        (record,) = caplog.records
        assert record.getMessage() == "claim.lost"
        assert vars(record)["provider"] == ALPHA

    @pytest.mark.parametrize("fault", [Crash, KeyError])
    def test_an_interrupt_or_a_bug_gives_the_permit_back_as_neutral(
        self, world: Simulation, fault: type[BaseException]
    ) -> None:
        def fail(email: Email) -> Outcome:
            raise fault

        hint = stored(world)
        told = reports(world)
        world.providers[ALPHA].answer = fail

        with pytest.raises(fault):
            world.attempt(ALPHA, hint)

        assert told == [Report(success=None)]
        assert world.email(ID).state is State.SENDING

    def test_the_time_of_the_claim_is_not_the_providers(
        self, world: Simulation
    ) -> None:
        def slow_call(email: Email) -> Outcome:
            world.clock.advance(seconds(3))
            return ACCEPTED

        def slow_store(change: Change) -> None:
            world.clock.advance(seconds(10))

        hint = stored(world)
        told = reports(world)
        world.providers[ALPHA].answer = slow_call
        world.store.before_apply = slow_store

        world.attempt(ALPHA, hint)

        assert told == [Report(success=True, latency=seconds(3))]
        assert world.email(ID).attempts[0].latency_ms == 3000


class TestUnbuildable:
    def test_it_is_found_before_permit_and_claim(self, world: Simulation) -> None:
        hint = stored(world)
        told = reports(world)
        world.providers[ALPHA].cannot_build = lambda _: True

        assert world.attempt(ALPHA, hint) == Done()

        back = handed_back(world)
        assert back.standing.unbuildable == {ALPHA}
        assert back.hops == 0
        assert told == []
        assert world.email(ID).fence == 0

    def test_the_next_one_adds_its_name(self, world: Simulation) -> None:
        hint = stored(world)
        known = replace(hint, standing=Standing(unbuildable=frozenset({ALPHA})))
        world.providers[BETA].cannot_build = lambda _: True

        world.attempt(BETA, known)

        assert handed_back(world).standing.unbuildable == {ALPHA, BETA}

    def test_a_closed_door_does_not_make_it_forgotten(self, world: Simulation) -> None:
        hint = stored(world)
        known = replace(hint, standing=Standing(unbuildable=frozenset({BETA})))
        world.board.trip(ALPHA)

        world.attempt(ALPHA, known)

        assert handed_back(world).standing.unbuildable == {BETA}

    def test_the_same_name_twice_is_a_hop(self, world: Simulation) -> None:
        hint = stored(world)
        known = replace(hint, standing=Standing(unbuildable=frozenset({ALPHA})))
        world.providers[ALPHA].cannot_build = lambda _: True

        world.attempt(ALPHA, known)

        assert handed_back(world).hops == 1


class TestUnclearClaim:
    def test_our_own_attempt_in_the_store_proves_it(self, world: Simulation) -> None:
        hint = stored(world)
        world.store.fail_after = 1

        world.attempt(ALPHA, hint)

        assert world.email(ID).state is State.SENT
        assert calls(world) == 1

    def test_without_it_there_is_no_call(self, world: Simulation) -> None:
        hint = stored(world)
        world.store.fail_before = 1

        assert world.attempt(ALPHA, hint) == Done()
        assert calls(world) == 0
        assert world.email(ID).attempts == ()

    def test_a_rivals_attempt_is_not_ours(self, world: Simulation) -> None:
        hint = stored(world)
        rival(world)
        world.store.fail_before = 1

        assert world.attempt(ALPHA, hint) == Done()
        assert calls(world) == 0

    def test_an_email_that_is_gone_is_not_ours(self, world: Simulation) -> None:
        hint = stored(world)

        def vanish(change: Change) -> None:
            world.store._emails.clear()

        world.store.before_apply = vanish
        world.store.fail_before = 1

        assert world.attempt(ALPHA, hint) == Done()
        assert calls(world) == 0

    def test_a_store_that_stays_away_is_told_to_the_actor(
        self, world: Simulation
    ) -> None:
        hint = stored(world)
        told = reports(world)

        def leave(change: Change) -> None:
            world.store.away = True

        world.store.before_apply = leave

        with pytest.raises(StoreUnavailableError):
            world.attempt(ALPHA, hint)

        assert told == [Report(success=None)]
        assert calls(world) == 0


def test_without_the_stores_time_there_is_no_claim(world: Simulation) -> None:
    hint = stored(world)

    class Unsure:
        monotonic = world.clock.monotonic

        def now(self) -> Any:
            raise ClockUnsureError("not seen")

    with pytest.raises(ClockUnsureError):
        replace(world.attempt, clock=Unsure())(ALPHA, hint)

    assert calls(world) == 0


def test_a_claim_that_took_too_long_makes_no_call_and_no_duplicate(
    world: Simulation,
) -> None:
    """More than half of lease minus timeout: 22.5 s by the defaults."""
    hint = stored(world)
    told = reports(world)

    def crawl(change: Change) -> None:
        world.clock.advance(seconds(22.6))

    world.store.before_apply = crawl

    world.attempt(ALPHA, hint)

    assert calls(world) == 0
    attempt = world.email(ID).attempts[0]
    assert (attempt.outcome.value, attempt.code) == ("not_sent", "too_late")
    assert told == [Report(success=None)]


@pytest.mark.parametrize("name", OUTCOMES)
def test_after_any_outcome_somebody_comes_back_or_it_is_settled(
    world: Simulation, name: str
) -> None:
    hint = stored(world)
    world.providers[ALPHA].answers(OUTCOMES[name])

    step = world.attempt(ALPHA, hint)

    email = world.email(ID)
    if email.is_final:
        assert isinstance(step, Dead) is (email.state is State.FAILED)
    else:
        assert isinstance(step, Again) or world.hints.hinted


def reports(world: Simulation) -> list[Report]:
    """Note what is reported to the board from now on."""
    told: list[Report] = []
    pass_on = world.board.report

    def note(permit: Permit, report: Report) -> BreakerState:
        told.append(report)
        return pass_on(permit, report)

    world.board.report = note  # type: ignore[method-assign]
    return told


def rival(world: Simulation) -> None:
    """Let another worker claim the email just before ours does."""

    def claim_first(change: Change) -> None:
        world.store.before_apply = lambda _: None
        world.store.put(an_email(State.SENDING))

    world.store.before_apply = claim_first
