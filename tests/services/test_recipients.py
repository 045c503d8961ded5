"""Whole ways of emails of which a part was refused."""

from dataclasses import replace

import pytest

from postroom.domain.email import Email, RecipientState, State
from postroom.domain.outcome import Accepted, RecipientRefusal, RefusalKind
from tests.builders import ACCEPTED, ALPHA, BETA, a_profile, a_recipient, seconds
from tests.simulation import Simulation

THREE = tuple(a_recipient(addr_spec=f"{name}@b.example") for name in "abc")


def refusing(index: int, kind: RefusalKind) -> Accepted:
    refusal = RecipientRefusal(index=index, kind=kind, code="451 4.7.1")
    return Accepted(provider_message_id="m", refused=(refusal,))


FOR_GOOD = refusing(1, RefusalKind.PERMANENT)
FOR_NOW = refusing(1, RefusalKind.TRANSIENT)


@pytest.fixture
def smtp() -> Simulation:
    """Give a service with one provider that splits and one that does not."""
    return Simulation(
        profiles=(a_profile(ALPHA, splits_recipients=True), a_profile(BETA))
    )


def words(email: Email) -> list[str]:
    return [recipient.state.value for recipient in email.recipients]


def parts(world: Simulation) -> list[tuple[str, tuple[int, ...]]]:
    return [(call.provider, call.recipients) for call in world.calls]


def test_one_bad_recipient_costs_the_others_nothing(smtp: Simulation) -> None:
    smtp.providers[ALPHA].answers(FOR_GOOD)

    (email_id,) = smtp.post(recipients=THREE)
    smtp.run()

    email = smtp.email(email_id)
    assert email.state is State.SENT
    assert words(email) == ["accepted", "refused", "accepted"]
    assert email.dead_at is not None
    assert parts(smtp) == [(ALPHA, (0, 1, 2))]


def test_a_greylisted_one_is_retried_alone(smtp: Simulation) -> None:
    smtp.providers[ALPHA].answers(FOR_NOW, ACCEPTED)

    (email_id,) = smtp.post(recipients=THREE)
    smtp.run()

    assert smtp.email(email_id).state is State.SENT
    assert words(smtp.email(email_id)) == ["accepted"] * 3
    assert parts(smtp) == [(ALPHA, (0, 1, 2)), (ALPHA, (1,))]
    assert smtp.email(email_id).possible_duplicates == ()


def test_no_provider_that_shows_all_recipients_gets_the_rest(smtp: Simulation) -> None:
    smtp.providers[ALPHA].answers(FOR_NOW, replace(FOR_NOW))

    (email_id,) = smtp.post(recipients=THREE)
    smtp.run(seconds(60))
    smtp.configure(BETA)
    smtp.run()

    email = smtp.email(email_id)
    assert smtp.providers[BETA].calls == []
    assert email.state is State.SENT
    assert words(email) == ["accepted", "refused", "accepted"]
    assert email.recipients[1].code == "451 4.7.1"


class TestRedrive:
    def test_only_the_refused_get_it_again(self, smtp: Simulation) -> None:
        smtp.providers[ALPHA].answers(FOR_GOOD, ACCEPTED)
        (email_id,) = smtp.post(recipients=THREE)
        smtp.run()

        smtp.redrive(email_id)
        smtp.take_hints()
        smtp.run()

        email = smtp.email(email_id)
        assert parts(smtp)[1] == (ALPHA, (1,))
        assert {r.state for r in email.recipients} == {RecipientState.ACCEPTED}
        assert (email.state, email.dead_at) == (State.SENT, None)
