"""A result that is recorded, and what becomes of its email."""

from postroom.domain.change import Change
from postroom.domain.email import Email, State
from postroom.domain.outcome import Outcome
from postroom.domain.policy import Policy
from postroom.domain.settling import record
from tests.builders import NOW, POLICY, a_result, an_email


def recorded(
    outcome: Outcome, email: Email | None = None, **given: object
) -> Change | None:
    policy = given.pop("policy", POLICY)
    assert isinstance(policy, Policy)
    return record(
        email or an_email(State.SENDING),
        a_result(outcome, **given),
        now=NOW,
        policy=policy,
    )


def after(outcome: Outcome, email: Email | None = None, **given: object) -> Email:
    change = recorded(outcome, email, **given)
    assert change is not None
    return change.after
