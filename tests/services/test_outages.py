"""Every provider is away, or one is: email waits and then goes."""

from collections import Counter
from datetime import timedelta

import pytest

from postroom.domain.email import State
from tests.builders import (
    ACCEPTED,
    ALPHA,
    NOW,
    OUTCOMES,
    REFUSED_FOR_NOW,
    a_refusal,
    at,
    seconds,
)
from tests.services.stories import all_answer, states
from tests.simulation import Simulation

HOUR = timedelta(hours=1)


class TestOutage:
    """All providers answer 503 for a while."""

    @pytest.mark.parametrize("count", [1, 50])
    @pytest.mark.parametrize("minutes", [1, 10])
    def test_nothing_fails_and_all_is_sent_once_after_it(
        self, world: Simulation, count: int, minutes: int
    ) -> None:
        all_answer(world, REFUSED_FOR_NOW)
        ids = world.post(count)
        world.run(timedelta(minutes=minutes))
        assert states(world, ids) == {State.QUEUED: count}
        waits = [world.email(email_id) for email_id in ids]
        assert all(email.not_before is not None for email in waits)
        assert all(email.waiting_for is not None for email in waits)

        all_answer(world, ACCEPTED)
        world.run(timedelta(minutes=10))

        assert states(world, ids) == {State.SENT: count}
        assert set(world.copies().values()) == {1}

    def test_after_the_breakers_opened_only_probes_call(
        self, world: Simulation
    ) -> None:
        all_answer(world, REFUSED_FOR_NOW)
        world.post(200)

        world.run(timedelta(minutes=10))

        late = [call for call in world.calls if call.at > at(1)]
        assert len(world.calls) - len(late) <= 10
        assert len(late) <= 2 * 7  # 30, 60, 120, 240, 240, ... s, and jitter

    def test_parked_mail_costs_few_writes(self, world: Simulation) -> None:
        all_answer(world, REFUSED_FOR_NOW)
        ids = world.post(100)

        world.run(timedelta(minutes=10))

        parked = [email_id for email_id in ids if not world.email(email_id).attempts]
        assert len(parked) > 80
        writes = sorted(world.store.writes[email_id] for email_id in parked)
        assert writes[len(writes) * 9 // 10] <= 3

    def test_the_release_is_in_order_and_at_a_pace(self, world: Simulation) -> None:
        all_answer(world, REFUSED_FOR_NOW)
        ids = world.post(100)
        world.run(seconds(20))
        all_answer(world, ACCEPTED)

        world.run(timedelta(minutes=5))

        times = Counter(
            int((call.at - NOW).total_seconds())
            for call in world.calls
            if call.outcome == ACCEPTED
        )
        assert sum(times.values()) == len(ids)
        assert max(times.values()) <= 2 * (10 + 1)  # of two providers, and probes

    def test_a_provider_reset_by_hand_gets_its_mail_within_a_sweep(
        self, lonely: Simulation
    ) -> None:
        lonely.board.trip(ALPHA)
        ids = lonely.post(3)
        lonely.run(seconds(10))
        assert states(lonely, ids) == {State.QUEUED: 3}

        lonely.board.reset(ALPHA)
        lonely.run(seconds(6))

        assert states(lonely, ids) == {State.SENT: 3}

    def test_a_drained_provider_is_waited_for(self, lonely: Simulation) -> None:
        lonely.board.drain(ALPHA)
        ids = lonely.post(3)
        lonely.run(HOUR)
        assert not lonely.calls

        lonely.board.resume(ALPHA)
        lonely.run(seconds(6))

        assert states(lonely, ids) == {State.SENT: 3}

    def test_mail_parked_during_a_pause_goes_when_it_ends(
        self, lonely: Simulation
    ) -> None:
        lonely.providers[ALPHA].answers(OUTCOMES["throttled"], ACCEPTED)
        ids = lonely.post(20)

        lonely.run(seconds(60))

        assert states(lonely, ids) == {State.SENT: 20}
        assert min(call.at for call in lonely.calls[1:]) >= at(30)

    def test_a_pause_in_the_middle_of_a_release_stops_it(
        self, lonely: Simulation
    ) -> None:
        lonely.board.trip(ALPHA)
        ids = lonely.post(100)
        lonely.run(seconds(5))
        lonely.providers[ALPHA].answers(
            *[ACCEPTED] * 10, a_refusal(throttled=True, retry_after=HOUR), ACCEPTED
        )
        lonely.board.reset(ALPHA)

        lonely.run(HOUR - seconds(10))

        assert states(lonely, ids)[State.QUEUED] >= 85
        waiting = [i for i in ids if lonely.email(i).state is State.QUEUED]
        assert max(lonely.store.writes[i] for i in waiting) <= 12
        lonely.run(HOUR)
        assert states(lonely, ids) == {State.SENT: 100}

    def test_an_email_that_outlives_its_age_expires(self, lonely: Simulation) -> None:
        lonely.board.drain(ALPHA)
        (email_id,) = lonely.post()

        lonely.sweep_every = seconds(60)
        lonely.run(timedelta(hours=25))

        email = lonely.email(email_id)
        assert (email.state, email.reason) == (State.FAILED, "expired")

    def test_a_probe_that_was_lost_is_replaced(self, lonely: Simulation) -> None:
        all_answer(lonely, REFUSED_FOR_NOW)
        ids = lonely.post(20)
        lonely.run(seconds(20))
        lonely.flush()
        all_answer(lonely, ACCEPTED)

        lonely.run(timedelta(minutes=4))

        assert states(lonely, ids) == {State.SENT: 20}
