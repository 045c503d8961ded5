"""Whether a provider may have an email: by the document, not by the hint."""

from datetime import datetime

import pytest

from postroom.domain.claiming import MayClaim, NotAny, NotThis, TooEarly, may_claim
from postroom.domain.email import Email, RecipientState, State
from postroom.domain.routing import ProviderProfile
from tests.builders import (
    ALPHA,
    BETA,
    NOW,
    OUTCOMES,
    POLICY,
    REFUSED_FOR_NOW,
    a_profile,
    a_recipient,
    a_routing,
    an_attempt,
    an_email,
    at,
    seconds,
)


def asked(email: Email, profile: ProviderProfile | None = None) -> object:
    return may_claim(
        email, profile or a_profile(), refuses_from={}, now=NOW, policy=POLICY
    )


@pytest.mark.parametrize("state", State)
def test_only_what_waits_may_be_claimed(state: State) -> None:
    said = asked(an_email(state))

    if state in {State.SCHEDULED, State.QUEUED}:
        assert said == MayClaim()
    else:
        assert said == NotAny(why=state.value)


def test_what_is_too_old_may_not() -> None:
    email = an_email(first_due_at=NOW - POLICY.max_age - seconds(1))

    assert asked(email) == NotAny(why="expired")


@pytest.mark.parametrize(
    ("email", "profile", "why"),
    [
        (an_email(provider=BETA), a_profile(), "pinned_elsewhere"),
        (an_email(), a_profile(only_pinned=True), "not_pinned"),
        (an_email(), a_profile(max_size_bytes=1), "too_large"),
        (an_email(), a_profile(max_recipients=0), "too_many_recipients"),
        (
            an_email(routing=a_routing(attachments=2)),
            a_profile(max_attachments=1),
            "too_many_attachments",
        ),
        (
            an_email(
                recipients=(
                    a_recipient(),
                    a_recipient(state=RecipientState.ACCEPTED),
                )
            ),
            a_profile(),
            "cannot_split",
        ),
        (
            an_email(attempts=(an_attempt(OUTCOMES["sender"]),)),
            a_profile(),
            "sender_not_allowed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_provider_that_cannot_carry_it_may_not(
    email: Email, profile: ProviderProfile, why: str
) -> None:
    assert asked(email, profile) == NotThis(why=why)


@pytest.mark.parametrize(
    ("not_before", "retry_at", "wait"),
    [
        pytest.param(at(5), at(-1), 5, id="the-email-waits"),
        pytest.param(at(-1), at(7), 7, id="this-provider-waits"),
        pytest.param(at(5), at(7), 7, id="both-wait"),
    ],
)
def test_too_early_says_how_long_to_wait(
    not_before: datetime, retry_at: datetime, wait: float
) -> None:
    attempt = an_attempt(REFUSED_FOR_NOW, retry_at=retry_at)

    said = asked(an_email(not_before=not_before, attempts=(attempt,)))

    assert said == TooEarly(wait=seconds(wait))


def test_another_provider_need_not_wait_for_the_one_that_refused() -> None:
    attempt = an_attempt(REFUSED_FOR_NOW, retry_at=at(7))

    said = asked(an_email(attempts=(attempt,)), a_profile(BETA))

    assert said == MayClaim()


def test_at_its_very_instant_it_may_be_claimed() -> None:
    assert asked(an_email(not_before=NOW)) == MayClaim()


def test_a_hint_gives_no_right_to_a_pinned_email() -> None:
    assert asked(an_email(provider=ALPHA)) == MayClaim()


def test_a_from_that_was_refused_lately_may_not_go_there() -> None:
    email = an_email()

    def said(until: datetime) -> object:
        refuses = {email.routing.from_domain: until}
        return may_claim(
            email, a_profile(), refuses_from=refuses, now=NOW, policy=POLICY
        )

    assert said(at(1)) == NotThis(why="sender_not_allowed")
    assert said(at(-1)) == MayClaim()


def test_what_nobody_is_to_get_any_more_may_not() -> None:
    accepted = a_recipient(state=RecipientState.ACCEPTED)

    assert asked(an_email(recipients=(accepted,))) == NotAny(why="nobody_pending")
