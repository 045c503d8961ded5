"""Providers that come and go, slow parts, and everything at once."""

from datetime import timedelta
from random import Random

import pytest

from postroom.domain.email import Delivery, Email, State, WaitingFor
from postroom.domain.outcome import Outcome, Unknown
from postroom.domain.policy import Policy
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    GAMMA,
    NOT_SENT,
    OUTCOMES,
    REFUSED_FOR_NOW,
    UNSURE_REFUSAL,
    a_profile,
    seconds,
)
from tests.services.stories import all_answer, states
from tests.simulation import Crash, Simulation

ONCE = Delivery.AT_MOST_ONCE


class TestSettings:
    def test_mail_pinned_to_a_removed_provider_fails_and_says_so(
        self, world: Simulation
    ) -> None:
        (email_id,) = world.post(provider=ALPHA)
        world.flush()
        world.configure(BETA)

        world.run()

        email = world.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "no_provider")

    def test_mail_in_a_removed_providers_queue_goes_elsewhere(
        self, world: Simulation
    ) -> None:
        (email_id,) = world.post()
        world.step()
        assert world.pending("send.alpha")
        world.configure(BETA)

        world.run()

        assert world.email(email_id).state is State.SENT

    def test_mail_parked_for_a_removed_provider_goes_elsewhere(
        self, world: Simulation
    ) -> None:
        for name in (ALPHA, BETA):
            world.board.trip(name)
        ids = world.post(3)
        world.run(seconds(1))
        world.configure(BETA)

        world.run(timedelta(minutes=1))

        assert states(world, ids) == {State.SENT: 3}

    def test_who_cannot_build_it_is_passed_over(self) -> None:
        names = ("p1", "p2", "p3", "p4", "p5")
        world = Simulation(*names)
        for name in names[:4]:
            world.providers[name].cannot_build = lambda _: True

        (email_id,) = world.post()
        world.run(seconds(1))

        assert world.email(email_id).state is State.SENT
        assert [call.provider for call in world.calls] == ["p5"]

    def test_what_nobody_can_build_fails(self, world: Simulation) -> None:
        for provider in world.providers.values():
            provider.cannot_build = lambda _: True

        (email_id,) = world.post()
        world.run()

        email = world.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "unbuildable")
        assert email.attempts == ()

    def test_what_fits_only_one_waits_for_that_one(self) -> None:
        world = Simulation(
            profiles=[a_profile(ALPHA, max_recipients=0), a_profile(GAMMA)]
        )
        world.board.trip(GAMMA)
        (email_id,) = world.post()
        world.run(seconds(10))

        email = world.email(email_id)
        assert email.waiting_for is WaitingFor.PROVIDER
        assert email.parked_for == (GAMMA,)


class TestSlowParts:
    def test_a_claim_that_took_too_long_makes_no_call(self, world: Simulation) -> None:
        slow = True

        def crawl(change: object) -> None:
            nonlocal slow
            if slow:
                slow = False
                world.clock.advance(seconds(23))

        world.store.before_apply = crawl
        (email_id,) = world.post()

        world.run()

        email = world.email(email_id)
        assert email.state is State.SENT
        assert [(a.outcome.value, a.code) for a in email.attempts] == [
            ("not_sent", "too_late"),
            ("accepted", None),
        ]
        assert email.possible_duplicates == ()
        assert len(world.calls) == 1

    def test_a_slow_store_is_not_held_against_the_provider(
        self, world: Simulation
    ) -> None:
        def crawl(change: object) -> None:
            world.clock.advance(seconds(14))

        world.store.before_apply = crawl
        world.post(10)

        world.run(seconds(300))

        assert world.board.view(ALPHA).failures == 0
        assert world.board.health(ALPHA).state == "closed"


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_every_email_is_sent_and_every_copy_explained(
    seed: int,
) -> None:
    """A storm of faults, drawn from the seed, then calm."""
    draw = Random(seed)  # noqa: S311 - repeatable on purpose
    world = Simulation(policy=Policy(max_unknown=100, unknown_grace=seconds(5)))

    passing: list[Outcome] = [REFUSED_FOR_NOW, UNSURE_REFUSAL, NOT_SENT]
    frozen = 0

    def freeze() -> None:
        """Let the others go on, for longer than the lease at times."""
        nonlocal frozen
        if frozen < 3:
            frozen += 1
            world.take_hints()
            world.run(seconds(draw.choice([1, 20, 100])))
            frozen -= 1

    def any_answer(email: Email) -> Outcome:
        if draw.random() < 0.1:
            freeze()
        kind = draw.random()
        if kind < 0.05:
            raise Crash
        if kind < 0.15:
            world.clock.advance(seconds(draw.choice([1, 14, 70])))
        if kind < 0.25:
            return Unknown(cause="timeout")
        if kind < 0.45:
            return draw.choice(passing)
        if kind < 0.5:
            return draw.choice([OUTCOMES["throttled"], OUTCOMES["account"]])
        return ACCEPTED

    for provider in world.providers.values():
        provider.answer = any_answer
    ids: list[str] = []
    for _ in range(20):
        world.hints.away = draw.random() < 0.1
        if draw.random() < 0.1:
            world.flush()
        ids += world.post(5, delivery=draw.choice(list(Delivery)))
        world.store.fail_after = int(draw.random() < 0.2)
        world.store.fail_before = int(draw.random() < 0.2)
        world.run(seconds(draw.choice([1, 10, 60])))

    world.hints.away = False
    all_answer(world, ACCEPTED)
    world.sweep_every = seconds(60)
    world.run(timedelta(hours=6))

    copies = world.copies()
    for email_id in ids:
        email = world.email(email_id)
        assert email.state is State.SENT or email.is_held
        if email.delivery is ONCE:
            assert copies[email_id] <= 1
        else:
            assert email.state is State.SENT
        extra = copies[email_id] - 1
        assert extra <= len(email.possible_duplicates)
