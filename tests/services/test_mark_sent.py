"""An operator has found a held email at the provider."""

import pytest

from postroom.domain.email import Delivery, State
from postroom.domain.errors import EmailNotFoundError, ForbiddenTransitionError
from postroom.services.mark_sent import MarkSent
from tests.builders import ALPHA, REFUSED_FOR_GOOD, TIMED_OUT, seconds
from tests.services.stories import all_answer
from tests.simulation import Simulation


@pytest.fixture
def held(world: Simulation) -> str:
    all_answer(world, TIMED_OUT)
    (email_id,) = world.post(delivery=Delivery.AT_MOST_ONCE)
    world.run(seconds(60))
    assert world.email(email_id).is_held
    return email_id


@pytest.fixture
def mark_sent(world: Simulation) -> MarkSent:
    return MarkSent(store=world.store, clock=world.clock)


def test_it_is_sent_and_nobody_gets_it_again(
    world: Simulation, held: str, mark_sent: MarkSent
) -> None:
    marked = mark_sent(held)
    world.run()

    assert marked == world.email(held)
    assert marked.state is State.SENT
    assert len(world.calls) == 1


def test_late_news_is_written_down_and_changes_nothing(
    world: Simulation, held: str, mark_sent: MarkSent
) -> None:
    marked = mark_sent(held)
    world.settle(
        marked,
        attempt_id=marked.attempts[0].id,
        outcome=REFUSED_FOR_GOOD,
        latency=seconds(1),
    )

    email = world.email(held)
    assert email.attempts[0].code == REFUSED_FOR_GOOD.code
    assert email.state is State.SENT


def test_a_refused_one_is_not_marked(world: Simulation, mark_sent: MarkSent) -> None:
    world.providers[ALPHA].answers(REFUSED_FOR_GOOD)
    (email_id,) = world.post()
    world.run(seconds(5))

    with pytest.raises(ForbiddenTransitionError):
        mark_sent(email_id)


def test_an_id_that_nobody_has_is_said(mark_sent: MarkSent) -> None:
    with pytest.raises(EmailNotFoundError):
        mark_sent("0" * 24)
