"""Erasing a final email takes all that was said, and nothing of what happened."""

from dataclasses import fields, replace

import pytest

from postroom.domain.email import FINAL_STATES, Email, State
from postroom.domain.erasure import erased_whole, is_erased_whole
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.interventions import redriven
from postroom.domain.retention import erased
from tests.builders import (
    NOW,
    POLICY,
    a_full_content,
    a_refusal,
    an_attempt,
    an_email,
    at,
    everything_set,
)

KEEP = POLICY.keep_email


def final(state: State = State.SENT, **given: object) -> Email:
    return replace(
        everything_set(),
        **{"state": state, "final_at": at(-10), "due_at": None} | given,
    )


def test_of_what_was_said_only_the_sender_stays() -> None:
    email = final(reason_detail="alpha: 550 no ada here")

    after = erased_whole(email, now=NOW, keep_email=KEEP).after

    assert after.content is not None
    said = {
        field.name: getattr(after.content, field.name)
        for field in fields(after.content)
    }
    assert said.pop("sender") == a_full_content().sender
    assert not any(said.values())
    assert {(r.addr_spec, r.display_name) for r in after.recipients} == {("", "")}
    assert [attempt.detail for attempt in after.attempts] == [None, None]
    assert after.reason_detail is None


def test_what_happened_stays() -> None:
    email = final()

    after = erased_whole(email, now=NOW, keep_email=KEEP).after

    assert [(r.kind, r.state, r.code) for r in after.recipients] == [
        (r.kind, r.state, r.code) for r in email.recipients
    ]
    kept = {
        "state",
        "sent_at",
        "created_at",
        "owner",
        "possible_duplicates",
        "redrives",
    }
    assert all(getattr(after, name) == getattr(email, name) for name in kept)
    assert [a.outcome for a in after.attempts] == [a.outcome for a in email.attempts]
    assert (after.fence, after.erased_at) == (email.fence + 1, NOW)


def test_the_record_goes_when_it_would_have_gone() -> None:
    young = erased_whole(final(expires_at=None), now=NOW, keep_email=KEEP).after
    bare = erased(final(expires_at=None), now=at(-5), keep_email=KEEP).after
    old = erased_whole(bare, now=NOW, keep_email=KEEP).after

    assert young.expires_at == bare.expires_at == old.expires_at == at(-10) + KEEP
    assert is_erased_whole(young)
    assert is_erased_whole(old)
    assert not is_erased_whole(bare)


@pytest.mark.parametrize("state", State)
def test_only_a_final_email_is_erased(state: State) -> None:
    email = an_email(state, content=None)

    if state in FINAL_STATES:
        change = erased_whole(email, now=NOW, keep_email=KEEP)
        assert (change.after.state, change.after.content) == (state, None)
        assert change.guard.admits(email)
        assert not change.guard.admits(change.after)
    else:
        with pytest.raises(ForbiddenTransitionError, match=f"{state} still needs"):
            erased_whole(email, now=NOW, keep_email=KEEP)


def test_an_erased_dead_letter_is_none_any_more() -> None:
    refused = an_attempt(a_refusal(detail="no ada here"))
    email = an_email(State.FAILED, attempts=(refused,))

    after = erased_whole(email, now=NOW, keep_email=KEEP).after

    assert after.dead_at is None
    with pytest.raises(ForbiddenTransitionError, match="erased"):
        redriven(after, now=NOW, policy=POLICY)
