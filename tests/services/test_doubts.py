"""Crashes, answers that nobody can read, and news that comes late."""

from datetime import timedelta
from itertools import pairwise

import pytest

from postroom.domain.email import Delivery, Email, State, WaitingFor
from postroom.domain.outcome import Outcome, OutcomeWord
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOT_SENT,
    OUTCOMES,
    REFUSED_FOR_GOOD,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    UNSURE_REFUSAL,
    seconds,
)
from tests.services.stories import all_answer, crash
from tests.simulation import Crash, Simulation

ONCE = Delivery.AT_MOST_ONCE
HOUR = timedelta(hours=1)


class TestCrash:
    def test_one_after_the_claim_is_sent_again_and_recorded(
        self, world: Simulation, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.providers[ALPHA].answer = crash
        (email_id,) = world.post()
        world.run(seconds(1))
        assert world.email(email_id).state is State.SENDING

        all_answer(world, ACCEPTED)
        world.run(seconds(58))
        assert len(world.calls) == 1  # the lease holds
        world.run(seconds(200))

        email = world.email(email_id)
        assert email.state is State.SENT
        first, second = email.attempts
        assert first.outcome is OutcomeWord.UNKNOWN
        assert email.possible_duplicates[0].attempt_id == second.id
        assert email.possible_duplicates[0].earlier == (first.id,)
        told = [r for r in caplog.records if r.msg == "email.possible_duplicate"]
        assert len(told) == 1

    def test_one_that_must_not_go_out_twice_is_held(self, world: Simulation) -> None:
        world.providers[ALPHA].answer = crash
        (email_id,) = world.post(delivery=ONCE)
        world.run(seconds(1))
        all_answer(world, ACCEPTED)

        world.sweep_every = seconds(60)
        world.run(24 * HOUR)

        assert world.email(email_id).is_held
        assert len(world.calls) == 1

    def test_an_email_that_crashes_each_worker_ends_held(
        self, world: Simulation
    ) -> None:
        for provider in world.providers.values():
            provider.answer = crash

        (email_id,) = world.post()
        world.sweep_every = seconds(60)
        world.run(24 * HOUR)

        assert world.email(email_id).is_held
        assert len(world.calls) == world.policy.max_unknown + 1

    def test_an_email_that_crashes_each_worker_before_its_claim_expires(
        self, lonely: Simulation
    ) -> None:
        def no_build(email: Email) -> bool:
            raise Crash

        lonely.providers[ALPHA].cannot_build = no_build
        (email_id,) = lonely.post()

        lonely.sweep_every = seconds(60)
        lonely.run(timedelta(hours=25))

        email = lonely.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "expired")
        assert lonely.delivered["send.alpha"] < 24 * 4 + 10

    def test_a_crash_before_the_record_is_like_one_after_the_claim(
        self, world: Simulation
    ) -> None:
        writes = 0

        def crash_at_the_record(change: object) -> None:
            nonlocal writes
            writes += 1
            if writes == 2:
                raise Crash

        world.store.before_apply = crash_at_the_record
        (email_id,) = world.post()

        world.run()

        email = world.email(email_id)
        assert email.state is State.SENT
        assert world.copies()[email_id] == 2
        assert len(email.possible_duplicates) == 1


class TestUnknown:
    def test_one_that_never_answers_gets_so_many_copies_and_no_more(
        self, lonely: Simulation
    ) -> None:
        lonely.providers[ALPHA].answers(TIMED_OUT)

        (email_id,) = lonely.post()
        lonely.sweep_every = seconds(60)
        lonely.run(24 * HOUR)

        email = lonely.email(email_id)
        assert email.is_held
        assert email.waiting_for is WaitingFor.OPERATOR
        assert len(lonely.calls) == lonely.policy.max_unknown + 1
        assert [len(d.earlier) for d in email.possible_duplicates] == [1, 2, 3]

    def test_the_waits_double(self, lonely: Simulation) -> None:
        lonely.providers[ALPHA].answers(TIMED_OUT)

        lonely.post()
        lonely.sweep_every = seconds(60)
        lonely.run(24 * HOUR)

        times = [call.at for call in lonely.calls]
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps[0] >= seconds(45)
        assert gaps[1] >= seconds(75)
        assert gaps[2] >= seconds(135)

    def test_an_email_that_must_not_go_out_twice_never_does(
        self, world: Simulation
    ) -> None:
        all_answer(world, TIMED_OUT)

        (email_id,) = world.post(delivery=ONCE)
        world.sweep_every = seconds(60)
        world.run(24 * HOUR)

        assert world.email(email_id).is_held
        assert len(world.calls) == 1

    def test_it_may_go_on_after_what_is_certain(self, world: Simulation) -> None:
        world.providers[ALPHA].answers(REFUSED_FOR_NOW)

        (email_id,) = world.post(delivery=ONCE)
        world.run()

        assert world.email(email_id).state is State.SENT
        assert world.email(email_id).possible_duplicates == ()

    def test_it_is_held_after_an_unsure_refusal(self, world: Simulation) -> None:
        world.providers[ALPHA].answers(UNSURE_REFUSAL)

        (email_id,) = world.post(delivery=ONCE)
        world.sweep_every = seconds(60)
        world.run(24 * HOUR)

        assert world.email(email_id).is_held
        assert len(world.calls) == 1

    def test_a_removed_provider_is_no_reason_to_wait_for_ever(
        self, world: Simulation
    ) -> None:
        world.providers[ALPHA].answers(TIMED_OUT)
        (email_id,) = world.post()
        world.run(seconds(1))

        world.configure(BETA)
        world.run(HOUR)

        email = world.email(email_id)
        assert email.state is State.SENT
        assert [a.provider for a in email.attempts] == [ALPHA, BETA]


class TestLate:
    """A worker that was frozen beyond its lease comes back."""

    def frozen(self, world: Simulation, outcome: Outcome) -> str:
        """Post an email whose first call takes 120 s and then ends so."""

        def slow(email: Email) -> Outcome:
            world.providers[ALPHA].answers(ACCEPTED)
            world.take_hints()
            world.run(seconds(120))
            return outcome

        world.providers[ALPHA].answer = slow
        (email_id,) = world.post()
        world.run(seconds(1))
        return email_id

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_whatever_it_says_the_email_stays_sent(
        self, world: Simulation, name: str
    ) -> None:
        email_id = self.frozen(world, OUTCOMES[name])

        email = world.email(email_id)
        assert email.state is State.SENT
        assert len(email.attempts) == 2
        assert len(email.possible_duplicates) == 1
        world.run()
        assert len(world.calls) == 2

    def test_a_late_acceptance_settles_a_held_email(self, world: Simulation) -> None:
        def slow(email: Email) -> Outcome:
            world.run(seconds(120))
            assert world.email(email.email_id).is_held
            return ACCEPTED

        world.providers[ALPHA].answer = slow
        (email_id,) = world.post(delivery=ONCE)
        world.run(seconds(1))

        assert world.email(email_id).state is State.SENT
        assert len(world.calls) == 1

    def test_a_late_word_that_nothing_was_sent_frees_a_held_email(
        self, world: Simulation
    ) -> None:
        def slow(email: Email) -> Outcome:
            world.run(seconds(120))
            world.providers[ALPHA].answers(ACCEPTED)
            return NOT_SENT

        world.providers[ALPHA].answer = slow
        (email_id,) = world.post(delivery=ONCE)
        world.run(HOUR)

        assert world.email(email_id).state is State.SENT
        assert world.copies()[email_id] == 1

    def test_an_acceptance_while_another_attempt_runs_settles_both(
        self, world: Simulation
    ) -> None:
        """The newer attempt's own refusal does not undo it."""
        done: list[str] = []

        def newer(email: Email) -> Outcome:
            first = email.attempts[0].id if email.attempts else None
            stored = world.email(email.email_id)
            assert first is not None
            world.settle(
                stored, attempt_id=first, outcome=ACCEPTED, latency=seconds(90)
            )
            done.append(stored.state.value)
            return REFUSED_FOR_GOOD

        world.providers[ALPHA].answer = crash
        (email_id,) = world.post()
        world.run(seconds(1))
        for provider in world.providers.values():
            provider.answer = newer
        world.run()

        email = world.email(email_id)
        assert done == ["sending"]
        assert email.state is State.SENT
        assert [a.outcome.value for a in email.attempts] == ["accepted", "refused"]
        assert email.recipients[0].state == "accepted"
