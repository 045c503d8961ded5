"""What goes of an old email, and what an erased one can still live through."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain import interventions, lifecycle
from postroom.domain.email import FINAL_STATES, Email, RecipientState, State
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.retention import erased
from postroom.domain.settling import record
from tests.builders import (
    ACCEPTED,
    ALPHA,
    NOW,
    POLICY,
    REFUSED_FOR_NOW,
    a_full_content,
    a_held_email,
    a_parked_email,
    a_recipient,
    a_result,
    an_attempt,
    an_email,
    at,
)

KEEP = timedelta(days=400)
LATER = NOW + timedelta(days=30)

OPEN = [
    *(an_email(state) for state in State if state not in FINAL_STATES),
    a_held_email(),
    a_parked_email(),
]


def after(email: Email) -> Email:
    return erased(email, now=LATER, keep_email=KEEP).after


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_bodies_and_attachments_go_and_all_else_stays(state: State) -> None:
    email = an_email(state, content=a_full_content())

    change = erased(email, now=LATER, keep_email=KEEP)

    assert change.after == replace(
        email,
        content=replace(a_full_content(), text=None, html=None, attachments=()),
        fence=email.fence + 1,
        dead_at=None,
        updated_at=LATER,
        final_at=None,
        erased_at=LATER,
        expires_at=at(-10) + KEEP,
    )
    assert change.before == email


@pytest.mark.parametrize("email", OPEN)
def test_an_open_email_is_never_erased(email: Email) -> None:
    with pytest.raises(ForbiddenTransitionError, match=email.state):
        erased(email, now=LATER, keep_email=KEEP)


def test_none_is_erased_twice() -> None:
    with pytest.raises(ForbiddenTransitionError, match="before"):
        erased(after(an_email(State.SENT)), now=LATER, keep_email=KEEP)


def test_one_that_was_read_without_content_is_erased_as_well() -> None:
    email = an_email(State.SENT, content=None)

    assert after(email).content is None
    assert after(email).erased_at == LATER


def test_a_final_email_that_does_not_say_since_when_counts_from_its_last_write() -> (
    None
):
    email = an_email(State.SENT, final_at=None, updated_at=at(-100))

    assert after(email).expires_at == at(-100) + KEEP


@pytest.mark.parametrize("state", State)
def test_only_the_email_that_was_read_is_erased(state: State) -> None:
    """A redrive or a late result in between comes first."""
    guard = erased(an_email(State.FAILED), now=LATER, keep_email=KEEP).guard

    same_fence = an_email(state, fence=1)
    assert guard.admits(same_fence) is (state is State.FAILED)
    assert not guard.admits(an_email(State.FAILED, fence=2))


def test_a_late_acceptance_still_makes_it_sent_and_does_not_prolong_it() -> None:
    lost = an_attempt()
    email = after(an_email(State.FAILED, attempts=(lost,)))

    change = record(email, a_result(ACCEPTED), now=LATER, policy=POLICY)

    assert change is not None
    assert change.after.state is State.SENT
    assert change.after.final_at is None
    assert change.after.erased_at == LATER
    assert change.after.expires_at == email.expires_at


def test_a_late_refusal_is_still_written_into_its_attempt() -> None:
    attempts = (an_attempt(), an_attempt(ACCEPTED, no=2))
    email = after(an_email(State.SENT, attempts=attempts))

    change = record(email, a_result(REFUSED_FOR_NOW), now=LATER, policy=POLICY)

    assert change is not None
    assert change.after.attempts[0].code == "503"
    assert change.after.state is State.SENT
    assert change.after.final_at is None


@pytest.mark.parametrize("force", [False, True])
def test_an_erased_dead_letter_cannot_go_again(force: bool) -> None:
    with pytest.raises(ForbiddenTransitionError, match="content was erased"):
        interventions.redriven(
            after(an_email(State.FAILED)), now=LATER, policy=POLICY, force=force
        )


def test_a_redriven_email_keeps_its_content_until_it_is_final_anew() -> None:
    email = an_email(State.FAILED, recipients=(a_recipient(),))

    waiting = interventions.redriven(email, now=LATER, policy=POLICY).after
    assert waiting.final_at is None

    taken = lifecycle.claim(
        waiting, provider=ALPHA, attempt_id="new", now=LATER, policy=POLICY
    ).after
    change = record(
        taken, a_result(ACCEPTED, attempt_id="new"), now=LATER, policy=POLICY
    )
    assert change is not None
    assert change.after.final_at == LATER
    assert change.after.recipients[0].state is RecipientState.ACCEPTED
