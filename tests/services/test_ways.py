"""Emails on good days, and from one provider to the next."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.email import Priority, State
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOT_SENT,
    NOW,
    OUTCOMES,
    REFUSED_FOR_GOOD,
    REFUSED_FOR_NOW,
    UNSURE_REFUSAL,
    a_refusal,
    at,
    seconds,
)
from tests.services.stories import all_answer, states
from tests.simulation import Simulation

HOUR = timedelta(hours=1)


class TestGoodDays:
    def test_an_email_goes_to_the_first_provider_once(self, world: Simulation) -> None:
        (email_id,) = world.post()

        world.run()

        email = world.email(email_id)
        assert email.state is State.SENT
        assert email.recipients[0].state == "accepted"
        assert [(c.provider, c.at) for c in world.calls] == [(ALPHA, NOW)]
        assert [a.provider_message_id for a in email.attempts] == ["m"]

    def test_it_takes_two_messages_and_two_writes(self, world: Simulation) -> None:
        (email_id,) = world.post()

        world.run()

        assert world.delivered == {"router": 1, "send.alpha": 1}
        assert world.store.writes[email_id] == 2  # claim and record

    def test_a_pinned_email_goes_where_it_is_pinned(self, world: Simulation) -> None:
        world.post(provider=BETA, priority=Priority.HIGH)

        world.run()

        assert [call.provider for call in world.calls] == [BETA]

    @pytest.mark.parametrize("wait_s", [30, 60, 61, 3600])
    def test_a_scheduled_email_goes_at_its_time(
        self, world: Simulation, wait_s: int
    ) -> None:
        world.post(scheduled_at=at(wait_s))

        world.run(2 * HOUR)

        assert [call.at for call in world.calls] == [at(wait_s)]


class TestFailover:
    def test_a_500_at_the_first_sends_it_once_by_the_second(
        self, world: Simulation
    ) -> None:
        world.providers[ALPHA].answers(UNSURE_REFUSAL)

        (email_id,) = world.post()
        world.run()

        email = world.email(email_id)
        assert email.state is State.SENT
        assert [(a.provider, a.outcome.value) for a in email.attempts] == [
            (ALPHA, "refused"),
            (BETA, "accepted"),
        ]
        assert [call.at for call in world.calls] == [NOW, NOW]
        assert email.possible_duplicates[0].earlier == (email.attempts[0].id,)

    def test_a_401_opens_at_once(self, world: Simulation) -> None:
        world.providers[ALPHA].answers(OUTCOMES["account"])

        ids = world.post(20)
        world.run(seconds(20))

        assert states(world, ids) == {State.SENT: 20}
        assert len(world.providers[ALPHA].calls) == 1

    def test_a_refused_sender_goes_elsewhere_and_opens_nothing(
        self, world: Simulation
    ) -> None:
        world.providers[ALPHA].answers(OUTCOMES["sender"])

        ids = world.post(9)
        world.run(seconds(1))
        calls = len(world.providers[ALPHA].calls)
        ids += world.post(9)
        world.run(seconds(300))

        assert states(world, ids) == {State.SENT: 18}
        assert len(world.providers[ALPHA].calls) == calls
        assert world.board.health(ALPHA).state == "closed"

    def test_a_sender_that_nobody_takes_fails_with_that_reason(
        self, world: Simulation
    ) -> None:
        all_answer(world, OUTCOMES["sender"])

        (email_id,) = world.post()
        world.run()

        email = world.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "sender_not_allowed")
        assert len(world.dead) == 1

    def test_a_refusal_for_good_is_a_dead_letter_at_no_other_provider(
        self, world: Simulation
    ) -> None:
        world.providers[ALPHA].answers(replace(REFUSED_FOR_GOOD, detail="no such user"))

        (email_id,) = world.post()
        world.run()

        email = world.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "refused")
        assert email.attempts[0].detail == "no such user"
        assert email.recipients[0].code == "550"
        assert len(world.calls) == 1
        assert [message.queue for message in world.dead] == ["send.alpha"]

    def test_what_never_left_goes_to_the_next_without_a_duplicate(
        self, world: Simulation
    ) -> None:
        world.providers[ALPHA].answers(NOT_SENT)

        (email_id,) = world.post()
        world.run()

        assert world.email(email_id).state is State.SENT
        assert world.email(email_id).possible_duplicates == ()

    def test_a_limit_pauses_the_provider_for_all(self, world: Simulation) -> None:
        world.providers[ALPHA].answers(OUTCOMES["throttled"], ACCEPTED)

        ids = world.post(10)
        world.run(seconds(20))

        assert states(world, ids) == {State.SENT: 10}
        assert len(world.providers[ALPHA].calls) == 1
        assert world.board.health(ALPHA).state == "closed"

    def test_an_hour_asked_for_by_one_does_not_keep_mail_from_the_other(
        self, world: Simulation
    ) -> None:
        asks_for_an_hour = a_refusal(retry_after=HOUR)
        world.providers[ALPHA].answers(asks_for_an_hour)
        world.providers[BETA].answers(*[REFUSED_FOR_NOW] * 4, ACCEPTED)

        (email_id,) = world.post()
        world.run(HOUR - seconds(1))

        assert world.email(email_id).state is State.SENT
        assert len(world.providers[ALPHA].calls) == 1
        assert world.calls[-1].at < at(120)

    def test_one_provider_gets_it_again_after_the_back_off(
        self, lonely: Simulation
    ) -> None:
        lonely.providers[ALPHA].answers(REFUSED_FOR_NOW, REFUSED_FOR_NOW, ACCEPTED)

        (email_id,) = lonely.post()
        lonely.run()

        assert lonely.email(email_id).state is State.SENT
        first, second, third = (call.at for call in lonely.calls)
        assert seconds(1) <= second - first <= seconds(2)
        assert seconds(2) <= third - second <= seconds(4)
