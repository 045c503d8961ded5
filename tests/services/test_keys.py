"""Providers that take idempotency keys: doubt costs no copy there."""

from datetime import timedelta

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Delivery, State
from postroom.domain.outcome import NotSent, Outcome
from postroom.domain.ports import Denied, Permit
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOT_SENT,
    OUTCOMES,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    UNSURE_REFUSAL,
    a_profile,
    seconds,
)
from tests.services.stories import all_answer, crash
from tests.simulation import Simulation

ONCE = Delivery.AT_MOST_ONCE
DAY = timedelta(days=1)
IN_DOUBT = [TIMED_OUT, UNSURE_REFUSAL]


def a_world(*, ttl_s: int = 86_400, beta_ttl_s: int = 0) -> Simulation:
    """Give one whose first provider takes keys."""
    return Simulation(
        profiles=[
            a_profile(ALPHA, key_ttl_s=ttl_s),
            a_profile(BETA, key_ttl_s=beta_ttl_s),
        ]
    )


@pytest.fixture
def world() -> Simulation:
    return a_world()


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("doubt", IN_DOUBT)
def test_an_attempt_in_doubt_is_repeated_there_with_its_key(
    world: Simulation, doubt: Outcome, delivery: Delivery
) -> None:
    world.providers[ALPHA].answers(doubt, doubt, ACCEPTED)
    (email_id,) = world.post(delivery=delivery)

    world.run(seconds(20))

    email = world.email(email_id)
    assert email.state is State.SENT
    assert {call.provider for call in world.calls} == {ALPHA}
    assert len({call.key for call in world.calls}) == 1
    assert world.most_copies(email_id) == 1
    assert not email.possible_duplicates


@pytest.mark.parametrize("delivery", Delivery)
def test_a_crash_costs_no_copy(world: Simulation, delivery: Delivery) -> None:
    world.providers[ALPHA].answer = crash
    (email_id,) = world.post(delivery=delivery)
    world.run(seconds(1))
    world.providers[ALPHA].answers(ACCEPTED)

    world.run(seconds(70))

    email = world.email(email_id)
    assert (email.state, email.bound_to) == (State.SENT, None)
    assert world.most_copies(email_id) == 1
    assert not email.possible_duplicates


def test_while_it_may_be_out_nobody_else_has_it(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, REFUSED_FOR_NOW, NOT_SENT)
    (email_id,) = world.post(delivery=ONCE)

    world.run(seconds(3))

    assert world.email(email_id).bound_to == ALPHA
    assert not world.providers[BETA].calls


def test_what_is_known_not_to_be_out_goes_with_a_new_key(world: Simulation) -> None:
    world.providers[ALPHA].answers(REFUSED_FOR_NOW, ACCEPTED)
    world.providers[BETA].answers(REFUSED_FOR_NOW)
    (email_id,) = world.post()

    world.run(seconds(30))

    first, second = (call.key for call in world.calls if call.provider == ALPHA)
    assert first != second
    assert world.email(email_id).state is State.SENT


def test_a_provider_that_stays_silent_has_its_share_and_then_the_next_has_it(
    world: Simulation,
) -> None:
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post()

    world.run(seconds(120))

    email = world.email(email_id)
    assert email.state is State.SENT
    assert email.attempts[-1].provider == BETA
    assert len(email.attempts) == world.policy.max_attempts + 1
    (duplicate,) = email.possible_duplicates
    assert len(duplicate.earlier) == world.policy.max_attempts


def test_one_that_must_not_go_twice_is_held_after_so_many_rounds(
    world: Simulation,
) -> None:
    all_answer(world, TIMED_OUT)
    (email_id,) = world.post(delivery=ONCE)

    world.sweep_every = seconds(60)
    world.run(DAY / 2)

    email = world.email(email_id)
    assert email.is_held
    assert len(email.attempts) == world.policy.max_attempts + world.policy.max_unknown
    assert world.most_copies(email_id) == 1


def test_one_provider_that_never_answers_gets_ever_fewer_repetitions() -> None:
    world = Simulation(profiles=[a_profile(ALPHA, key_ttl_s=86_400)])
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post()

    world.sweep_every = seconds(60)
    world.run(2 * DAY)

    email = world.email(email_id)
    assert (email.state, email.reason) == (State.FAILED, "expired")
    assert world.most_copies(email_id) == 1
    assert len(email.attempts) < 20


@pytest.mark.parametrize("delivery", Delivery)
def test_a_short_outage_is_waited_for(world: Simulation, delivery: Delivery) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, ACCEPTED)
    (email_id,) = world.post(delivery=delivery)
    world.run(seconds(1))
    world.board.pause(ALPHA, wait=seconds(20))

    world.run(seconds(25))

    assert world.email(email_id).state is State.SENT
    assert world.most_copies(email_id) == 1


def test_a_long_outage_is_not_waited_for(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post()
    world.run(seconds(1))
    world.board.pause(ALPHA, wait=timedelta(hours=1))

    world.run(seconds(120))

    email = world.email(email_id)
    assert email.state is State.SENT
    assert email.attempts[-1].provider == BETA
    assert email.possible_duplicates[0].earlier == (email.attempts[0].id,)


def test_one_that_must_not_go_twice_waits_for_a_long_outage(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, ACCEPTED)
    (email_id,) = world.post(delivery=ONCE)
    world.run(seconds(1))
    world.board.pause(ALPHA, wait=timedelta(hours=1))

    world.sweep_every = seconds(60)
    world.run(timedelta(hours=2))

    assert world.email(email_id).state is State.SENT
    assert world.most_copies(email_id) == 1
    assert not world.providers[BETA].calls


def test_a_key_that_is_too_old_holds_what_must_not_go_twice() -> None:
    world = a_world(ttl_s=900)
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post(delivery=ONCE)
    world.run(seconds(1))
    world.board.pause(ALPHA, wait=timedelta(hours=1))

    world.sweep_every = seconds(60)
    world.run(timedelta(hours=2))

    assert world.email(email_id).is_held
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("delivery", "end"),
    [(Delivery.AT_LEAST_ONCE, State.SENT), (ONCE, State.UNKNOWN)],
)
def test_a_provider_that_is_gone_leaves_the_other_rules(
    world: Simulation, delivery: Delivery, end: State
) -> None:
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post(delivery=delivery)
    world.run(seconds(1))
    world.configure(BETA)

    world.run(seconds(300))

    email = world.email(email_id)
    assert email.state is end
    assert len(email.possible_duplicates) == (end is State.SENT)


def test_late_news_ends_the_bond(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post()
    world.run(seconds(1))
    email = world.email(email_id)
    world.settle(
        email,
        attempt_id=email.attempts[0].id,
        outcome=OUTCOMES["sender"],
        latency=seconds(1),
    )

    assert world.email(email_id).bound_to is None
    world.run(seconds(90))

    assert world.email(email_id).state is State.SENT
    assert world.email(email_id).attempts[-1].provider == BETA
    assert not world.email(email_id).possible_duplicates


def test_a_hint_from_before_the_bond_asks_again(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, ACCEPTED)
    (email_id,) = world.post()
    old = list(world.queue)
    world.run(seconds(1))
    world.board.pause(ALPHA, wait=seconds(10))
    world.board.pause(BETA, wait=seconds(10))
    for message in old:
        world.deliver(message)

    world.run(seconds(30))

    assert world.email(email_id).state is State.SENT
    assert world.most_copies(email_id) == 1


def test_a_retry_by_force_is_another_email_there(world: Simulation) -> None:
    all_answer(world, TIMED_OUT)
    (email_id,) = world.post(delivery=ONCE)
    world.sweep_every = seconds(60)
    world.run(DAY / 2)
    all_answer(world, ACCEPTED)

    world.redrive(email_id, force=True)
    world.take_hints()
    world.run(seconds(10))

    assert world.email(email_id).state is State.SENT
    assert world.most_copies(email_id) == 2


def test_after_a_failed_connection_an_older_doubt_still_binds(
    world: Simulation,
) -> None:
    world.providers[ALPHA].answers(TIMED_OUT, NotSent(cause="dns"), ACCEPTED)
    (email_id,) = world.post(delivery=ONCE)

    world.run(seconds(30))

    assert world.email(email_id).state is State.SENT
    assert {call.provider for call in world.calls} == {ALPHA}
    assert world.most_copies(email_id) == 1


def test_who_has_gone_on_with_it_meanwhile_keeps_it(world: Simulation) -> None:
    world.providers[ALPHA].answers(TIMED_OUT)
    (email_id,) = world.post()
    world.run(seconds(1))
    world.configure(BETA)

    def cancel(change: Change) -> None:
        if change.after.state is State.UNKNOWN:
            world.store.before_apply = lambda _: None
            world.cancel(email_id, force=True)

    world.store.before_apply = cancel
    world.run(seconds(120))

    assert world.email(email_id).state is State.CANCELLED


@pytest.mark.parametrize("delivery", Delivery)
def test_a_key_that_grew_too_old_before_the_claim_is_not_used(
    world: Simulation, delivery: Delivery
) -> None:
    """The worker stands still between the permit and the claim, for a day."""
    world.providers[ALPHA].answers(TIMED_OUT, ACCEPTED)
    (email_id,) = world.post(delivery=delivery)
    world.run(seconds(1))
    permit = world.board.permit

    def slow_permit(provider: str, *, probe: bool) -> Permit | Denied:
        world.clock.advance(DAY)
        return permit(provider, probe=probe)

    world.board.permit = slow_permit  # type: ignore[method-assign]
    world.step()

    assert len(world.calls) == 1
    assert world.email(email_id).state is State.QUEUED  # the sweep goes on with it
