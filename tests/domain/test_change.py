"""A guard admits exactly what the pure rules would have allowed."""

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain import lifecycle
from postroom.domain.change import Change, Guard
from postroom.domain.email import CLAIMABLE, Email, RecipientState, State
from postroom.domain.errors import ForbiddenTransitionError
from tests.builders import (
    ALPHA,
    ID,
    NOW,
    POLICY,
    a_recipient,
    an_email,
    at,
)

INSTANTS: list[datetime | None] = [None, at(-1), NOW, at(1)]


def a_claim(email: Email) -> Change:
    return lifecycle.claim(
        email, provider=ALPHA, attempt_id="new", now=NOW, policy=POLICY
    )


def an_offer(email: Email) -> Change:
    return lifecycle.offered(email, now=NOW, policy=POLICY)


def _is_stored(state: State, *times: datetime | None) -> bool:
    """Whether such an email exists: one that may be claimed has both times."""
    return state not in CLAIMABLE or (None in times) is (set(times) == {None})


@pytest.mark.parametrize(
    ("state", "not_before", "due_at"),
    [
        (state, not_before, due_at)
        for state in State
        for not_before in INSTANTS
        for due_at in INSTANTS
        if _is_stored(state, not_before, due_at)
    ],
)
@pytest.mark.parametrize("write", [a_claim, an_offer])
def test_a_guard_made_elsewhere_admits_what_the_rules_admit_here(
    state: State,
    not_before: datetime | None,
    due_at: datetime | None,
    write: Callable[[Email], Change],
) -> None:
    """The guard comes from another email that was fit: the stored one is not it."""
    stored = an_email(state, not_before=not_before, due_at=due_at, attempts=())
    guard = write(an_email(due_at=due_at or NOW)).guard

    try:
        write(stored)
    except ForbiddenTransitionError:
        assert not guard.admits(stored)
    else:
        assert guard.admits(stored)


def test_a_claim_is_refused_over_an_acceptance() -> None:
    guard = a_claim(an_email()).guard

    accepted = a_recipient(state=RecipientState.ACCEPTED)
    assert not guard.admits(an_email(recipients=(accepted,), fence=0))


@given(st.integers(-3, 3))
def test_a_guard_admits_only_the_fence_that_it_names(moved: int) -> None:
    guard = lifecycle.sent(an_email(State.SENDING, fence=5), now=NOW).guard

    admits = guard.admits(an_email(State.SENDING, fence=5 + moved))

    assert admits is (moved == 0)


def test_without_conditions_only_fence_and_state_count() -> None:
    guard = Guard(fence=0, states=frozenset({State.QUEUED}))

    assert guard.admits(an_email(not_before=None, due_at=None))
    assert not guard.admits(an_email(State.SENT, fence=0))


def test_a_change_names_its_email() -> None:
    assert a_claim(an_email()).email_id == ID
