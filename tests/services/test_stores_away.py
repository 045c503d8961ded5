"""Redis or the store is away, or has lost what it was given."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.email import Email, State
from postroom.domain.outcome import Outcome
from tests.builders import (
    ACCEPTED,
    ALPHA,
    REFUSED_FOR_NOW,
    seconds,
)
from tests.services.stories import states
from tests.simulation import Simulation


class TestRedis:
    def test_redis_away_at_the_post_costs_a_minute(self, world: Simulation) -> None:
        world.hints.away = True
        ids = world.post(5)
        world.run(seconds(10))
        world.hints.away = False

        world.run(seconds(60))

        assert states(world, ids) == {State.SENT: 5}

    def test_redis_away_for_90_s_loses_nothing(self, world: Simulation) -> None:
        world.hints.away = True
        ids = world.post(20)
        for _ in range(9):
            world.run(seconds(10))
            ids += world.post(2)
        world.hints.away = False

        world.run(timedelta(minutes=10))

        assert states(world, ids) == {State.SENT: len(ids)}
        assert set(world.copies().values()) == {1}

    def test_a_flush_is_made_up_for_by_one_offer_each(self, world: Simulation) -> None:
        ids = world.post(100)
        world.flush()

        world.run(seconds(66))

        assert states(world, ids) == {State.SENT: 100}
        assert world.delivered["router"] == 100

    @pytest.mark.parametrize("queue", ["router", "send.alpha"])
    def test_doubled_messages_send_once(self, world: Simulation, queue: str) -> None:
        world.post()
        while world.pending(queue) == []:
            world.step()
        world.queue.extend(replace(m, no=m.no + 100) for m in world.pending(queue))

        world.run()

        assert len(world.calls) == 1

    def test_redis_away_after_the_claim_loses_nothing(self, world: Simulation) -> None:
        def away(email: Email) -> Outcome:
            world.hints.away = True
            return REFUSED_FOR_NOW

        world.providers[ALPHA].answer = away
        (email_id,) = world.post()
        world.run(seconds(5))
        world.hints.away = False

        world.run(seconds(120))

        assert world.email(email_id).state is State.SENT


class TestStore:
    @pytest.mark.parametrize("fault", ["fail_before", "fail_after"])
    def test_a_claim_with_an_unclear_reply_calls_only_if_it_is_stored(
        self, world: Simulation, fault: str
    ) -> None:
        (email_id,) = world.post()
        setattr(world.store, fault, 1)

        world.run()

        assert world.email(email_id).state is State.SENT
        assert world.copies()[email_id] == 1

    @pytest.mark.parametrize("fault", ["fail_before", "fail_after"])
    def test_an_outcome_with_an_unclear_reply_is_settled(
        self, world: Simulation, fault: str
    ) -> None:
        def then_fail(email: Email) -> Outcome:
            setattr(world.store, fault, 1)
            return ACCEPTED

        world.providers[ALPHA].answer = then_fail
        (email_id,) = world.post()

        world.run()

        email = world.email(email_id)
        assert email.state is State.SENT
        assert len(email.possible_duplicates) == world.copies()[email_id] - 1

    def test_the_store_away_is_waited_for(self, world: Simulation) -> None:
        ids = world.post(3)
        world.store.away = True
        world.run(seconds(30))
        assert not world.calls
        world.store.away = False

        world.run(timedelta(minutes=5))

        assert states(world, ids) == {State.SENT: 3}
        assert set(world.copies().values()) == {1}
