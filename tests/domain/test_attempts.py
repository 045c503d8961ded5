"""What an email's history says."""

from postroom.domain.attempts import (
    maybe_out,
    retry_at,
    share,
    since_redrive,
    standing_of,
    unknowns,
    waits_so_far,
)
from postroom.domain.email import Attempt
from postroom.domain.policy import Policy
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    OUTCOMES,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    UNSURE_REFUSAL,
    an_attempt,
    an_email,
    at,
)

POLICY = Policy(max_attempts=3)


def attempts_at(*providers: str, round_: int = 1) -> tuple[Attempt, ...]:
    return tuple(
        an_attempt(REFUSED_FOR_NOW, no=no, provider=provider, round=round_)
        for no, provider in enumerate(providers, 1)
    )


def test_tries_count_the_present_round_only() -> None:
    email = an_email(
        attempts=(
            *attempts_at(ALPHA, BETA),
            *attempts_at(ALPHA, ALPHA, round_=2),
        ),
        round=2,
    )

    assert standing_of(email).tries == {ALPHA: 2}


def test_an_attempt_that_was_not_made_in_time_uses_no_share_up() -> None:
    late = an_attempt(OUTCOMES["too_late"])

    assert standing_of(an_email(attempts=(late,))).tries == {}


def test_a_provider_that_refused_the_from_is_excluded_until_a_redrive() -> None:
    refused = an_attempt(OUTCOMES["sender"])
    email = an_email(attempts=(refused,), round=3)

    assert standing_of(email).excluded == {ALPHA}
    redriven = an_email(attempts=(refused,), round=3, first_round=3)
    assert standing_of(redriven).excluded == set()


def test_a_provider_rests_until_the_latest_time_that_it_asked_for() -> None:
    email = an_email(
        attempts=(
            an_attempt(REFUSED_FOR_NOW, retry_at=at(90)),
            an_attempt(REFUSED_FOR_NOW, no=2, retry_at=at(30)),
            an_attempt(ACCEPTED, no=3, provider=BETA),
        )
    )

    assert standing_of(email).resting == {ALPHA: at(90)}
    assert retry_at(email, ALPHA) == at(90)
    assert retry_at(email, BETA) is None


def test_what_was_before_a_redrive_does_not_count_as_unknown() -> None:
    before = an_attempt(TIMED_OUT)
    after = an_attempt(TIMED_OUT, no=2, round=2)
    email = an_email(attempts=(before, after), round=2, first_round=2)

    assert unknowns(email) == 1
    assert since_redrive(email) == (after,)


def test_whatever_may_be_out_is_told_over_the_whole_life() -> None:
    email = an_email(
        attempts=(
            an_attempt(TIMED_OUT),
            an_attempt(REFUSED_FOR_NOW, no=2),
            an_attempt(UNSURE_REFUSAL, no=3, round=2),
        ),
        round=2,
        first_round=2,
    )

    assert maybe_out(email) == ("attempt-1", "attempt-3")


def test_the_first_round_gives_each_provider_its_full_share() -> None:
    assert share(an_email(), POLICY) == 3
    assert share(an_email(round=4, first_round=4), POLICY) == 3


def test_a_later_round_gives_each_provider_one_attempt() -> None:
    assert share(an_email(round=2), POLICY) == 1


def test_the_back_off_goes_on_growing_from_round_to_round() -> None:
    waits = [
        waits_so_far(an_email(attempts=attempts_at(*[ALPHA] * n)), ALPHA, POLICY)
        for n in (1, 2, 3)
    ] + [
        waits_so_far(
            an_email(attempts=attempts_at(ALPHA, round_=r), round=r), ALPHA, POLICY
        )
        for r in (2, 3, 4)
    ]

    assert waits == [1, 2, 3, 4, 5, 6]


def test_the_back_off_of_a_provider_without_an_attempt_is_the_first() -> None:
    assert waits_so_far(an_email(), ALPHA, POLICY) == 1
