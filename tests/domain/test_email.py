"""What an email says of itself."""

from datetime import datetime
from typing import Any

import pytest

from postroom.domain.email import Address, RecipientState, State
from postroom.domain.errors import InvalidValueError
from tests.builders import (
    OUTCOMES,
    a_full_content,
    a_held_email,
    a_recipient,
    an_attempt,
    an_email,
    everything_set,
)


@pytest.mark.parametrize(
    "field", ["not_before", "due_at", "created_at", "first_due_at"]
)
def test_an_instant_without_a_zone_is_refused(field: str) -> None:
    naive: dict[str, Any] = {field: datetime(2026, 1, 1)}

    with pytest.raises(InvalidValueError, match=f"{field} must carry a time zone"):
        an_email(**naive)


@pytest.mark.parametrize("state", State)
def test_final_is_what_nobody_has_in_hand_or_waits_for(state: State) -> None:
    final = {State.SENT, State.FAILED, State.CANCELLED, State.SUPPRESSED}

    assert an_email(state).is_final is (state in final)


def test_held_is_unknown_without_a_time() -> None:
    assert a_held_email().is_held
    assert not an_email(State.UNKNOWN).is_held
    assert not an_email(due_at=None).is_held


def test_pending_are_the_recipients_without_an_answer() -> None:
    recipients = tuple(a_recipient(state=state) for state in RecipientState)

    assert an_email(recipients=recipients).pending == (0,)


def test_an_attempt_is_found_by_its_id() -> None:
    email = an_email(State.SENDING)

    assert email.attempt("attempt-1") is email.attempts[0]
    assert email.attempt("nobody's") is None


@pytest.mark.parametrize(
    ("name", "may_be_out"),
    [(name, name in {"unknown", "unsure"}) for name in OUTCOMES],
)
def test_out_unseen_may_be_what_is_unknown_or_not_surely_refused(
    name: str, may_be_out: bool
) -> None:
    assert an_attempt(OUTCOMES[name]).may_be_out is may_be_out


def test_a_claimed_attempt_may_be_out_until_somebody_tells() -> None:
    assert an_attempt().may_be_out


def test_the_domain_of_an_address_is_in_lower_case() -> None:
    assert Address(addr_spec='"a@b"@Example.COM').domain == "example.com"


def test_a_repr_shows_nothing_of_what_was_said_or_to_whom() -> None:
    shown = repr(everything_set()) + repr(a_full_content())

    for secret in ("ada@", "bob@", "Ada", "shop@", "Hello", "X-Order", "order.id"):
        assert secret not in shown
