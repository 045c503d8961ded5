"""The decision table: what each outcome makes of an email that is in hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.email import Attempt, Delivery, Email, State, WaitingFor
from postroom.domain.outcome import Outcome, OutcomeWord, RefusalKind
from postroom.domain.policy import Policy
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOT_SENT,
    NOW,
    OUTCOMES,
    POLICY,
    REFUSED_FOR_GOOD,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    TOO_LATE,
    UNSURE_REFUSAL,
    a_refusal,
    an_attempt,
    an_email,
    at,
    seconds,
    tries,
)
from tests.domain.recording import after, recorded

ONCE = Delivery.AT_MOST_ONCE


class TestInHand:
    @pytest.mark.parametrize(
        ("name", "state", "reason"),
        [
            ("accepted", State.SENT, None),
            ("permanent", State.FAILED, "refused"),
            ("transient", State.QUEUED, None),
            ("unsure", State.QUEUED, None),
            ("throttled", State.QUEUED, None),
            ("account", State.QUEUED, None),
            ("sender", State.QUEUED, None),
            ("not_sent", State.QUEUED, None),
            ("too_late", State.QUEUED, None),
            ("unknown", State.UNKNOWN, None),
        ],
    )
    def test_each_outcome_leads_where_the_table_says(
        self, name: str, state: State, reason: str | None
    ) -> None:
        email = after(OUTCOMES[name])

        assert (email.state, email.reason) == (state, reason)
        assert email.attempts[0].ended_at == NOW
        assert email.attempts[0].latency_ms == 1000

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_an_email_that_must_not_go_out_twice_is_held_when_unsure(
        self, name: str
    ) -> None:
        email = after(OUTCOMES[name], an_email(State.SENDING, delivery=ONCE))

        assert email.is_held is (name in {"unknown", "unsure"})

    def test_the_write_is_guarded_by_the_email_as_it_was_read(self) -> None:
        email = an_email(State.SENDING)

        change = recorded(ACCEPTED, email)

        assert change is not None
        assert change.before is email
        assert change.guard.fence == email.fence

    def test_the_words_of_a_refusal_are_kept(self) -> None:
        attempt = after(a_refusal(code="550", detail="no such user")).attempts[0]

        assert (attempt.outcome, attempt.kind, attempt.certain) == (
            OutcomeWord.REFUSED,
            RefusalKind.TRANSIENT,
            True,
        )
        assert (attempt.code, attempt.detail) == ("550", "no such user")

    def test_the_providers_name_of_an_accepted_email_is_kept(self) -> None:
        assert after(ACCEPTED).attempts[0].provider_message_id == "m1"

    def test_an_older_acceptance_wins_over_what_the_newer_attempt_says(self) -> None:
        email = after(
            ACCEPTED,
            an_email(State.SENDING, attempts=(an_attempt(), an_attempt(no=2))),
        )

        settled = after(REFUSED_FOR_GOOD, email, attempt_id="attempt-2")

        assert settled.state is State.SENT
        assert settled.attempts[1].outcome is OutcomeWord.REFUSED

    def test_nothing_is_written_for_an_attempt_that_is_not_there(self) -> None:
        assert recorded(ACCEPTED, attempt_id="nobody's") is None

    @pytest.mark.parametrize("outcome", [NOT_SENT, REFUSED_FOR_NOW, TIMED_OUT])
    def test_nothing_is_written_twice(self, outcome: Outcome) -> None:
        email = an_email(State.SENDING, attempts=(an_attempt(NOT_SENT),))

        assert recorded(outcome, email) is None

    def test_an_acceptance_is_not_written_twice(self) -> None:
        email = an_email(State.SENT, attempts=(an_attempt(ACCEPTED),))

        assert recorded(ACCEPTED, email) is None


class TestAgain:
    def test_the_next_provider_gets_it_at_once(self) -> None:
        email = after(REFUSED_FOR_NOW, others=(BETA,))

        assert email.not_before == NOW
        assert email.waiting_for is None
        assert email.attempts[0].retry_at == at(2)

    def test_without_another_it_backs_off(self) -> None:
        email = after(REFUSED_FOR_NOW)

        assert email.not_before == at(2)
        assert email.waiting_for is WaitingFor.BACKOFF
        assert email.round == 1

    def test_one_with_as_many_attempts_is_no_reason_to_hurry(self) -> None:
        email = after(
            REFUSED_FOR_NOW, sending(failed(BETA)), others=(BETA,), attempt_id="last"
        )

        assert email.not_before == at(2)

    def test_retry_after_is_a_floor(self) -> None:
        email = after(a_refusal(retry_after=seconds(40)))

        assert email.not_before == at(40)
        assert email.attempts[0].retry_at == at(40)

    def test_a_long_retry_after_of_one_does_not_keep_it_from_another(self) -> None:
        email = after(
            a_refusal(retry_after=seconds(3600)),
            sending(failed(BETA, rest_s=5)),
            others=(BETA,),
            attempt_id="last",
        )

        assert email.not_before == at(5)

    def test_the_least_wait_is_the_back_off(self) -> None:
        email = after(
            a_refusal(retry_after=seconds(3600)),
            sending(failed(BETA)),
            others=(BETA,),
            attempt_id="last",
        )

        assert email.not_before == at(2)

    def test_one_that_rests_is_not_tried_at_once(self) -> None:
        email = after(
            REFUSED_FOR_NOW,
            sending(failed(BETA, rest_s=600), failed(ALPHA)),
            others=(BETA,),
            attempt_id="last",
        )

        assert email.not_before == at(4)

    def test_when_all_have_had_their_share_a_new_round_begins(self) -> None:
        email = after(
            REFUSED_FOR_NOW,
            sending(*[failed(BETA)] * 3, *[failed(ALPHA)] * 2),
            others=(BETA,),
            attempt_id="last",
        )

        assert email.round == 2
        assert tries(email) == {}
        assert email.not_before == at(8)

    def test_a_later_round_is_one_attempt_each(self) -> None:
        email = an_email(State.SENDING, round=2, attempts=(an_attempt(round=2),))

        again = after(REFUSED_FOR_NOW, email)

        assert again.round == 3
        assert again.not_before == at(16)

    def test_an_attempt_that_was_not_made_in_time_costs_nothing(self) -> None:
        email = after(TOO_LATE)

        assert email.not_before == NOW
        assert tries(email) == {}
        assert email.round == 1

    def test_what_is_too_old_fails_as_expired(self) -> None:
        email = an_email(State.SENDING, first_due_at=NOW - 2 * POLICY.max_age)

        failed_ = after(REFUSED_FOR_NOW, email)

        assert (failed_.state, failed_.reason) == (State.FAILED, "expired")

    def test_what_is_too_old_may_still_go_to_another_at_once(self) -> None:
        """The router decides about its age; nothing is lost in between."""
        email = an_email(State.SENDING, first_due_at=NOW - 2 * POLICY.max_age)

        assert after(REFUSED_FOR_NOW, email, others=(BETA,)).state is State.QUEUED

    @pytest.mark.parametrize("name", ["account", "sender"])
    def test_a_refused_account_or_sender_leaves_it_to_the_router(
        self, name: str
    ) -> None:
        email = after(OUTCOMES[name])

        assert (email.not_before, email.round) == (NOW, 1)


def failed(provider: str, *, rest_s: float = -1) -> Attempt:
    return an_attempt(REFUSED_FOR_NOW, provider=provider, retry_at=at(rest_s))


def sending(*earlier: Attempt) -> Email:
    """Give an email in hand at alpha (attempt ``last``) after others."""
    attempts = [replace(a, no=n, id=f"attempt-{n}") for n, a in enumerate(earlier, 1)]
    return an_email(State.SENDING, attempts=(*attempts, an_attempt(id="last", no=99)))


class TestUnknown:
    def test_the_wait_counts_from_when_the_call_must_have_ended(self) -> None:
        email = an_email(State.SENDING, attempts=(an_attempt(started_at=NOW),))

        assert after(TIMED_OUT, email).due_at == at(15 + 30)

    @pytest.mark.parametrize(("count", "wait_s"), [(1, 30), (2, 60), (3, 120)])
    def test_the_wait_doubles_each_time(self, count: int, wait_s: int) -> None:
        email = unknown_times(count)

        again = after(TIMED_OUT, email, attempt_id=f"attempt-{count}")

        assert again.due_at == at(15 + wait_s)
        assert again.waiting_for is WaitingFor.OUTCOME

    def test_beyond_the_bound_it_is_held(self) -> None:
        email = after(TIMED_OUT, unknown_times(4), attempt_id="attempt-4")

        assert email.is_held
        assert email.waiting_for is WaitingFor.OPERATOR

    def test_a_bound_of_none_holds_at_once(self) -> None:
        assert after(TIMED_OUT, policy=Policy(max_unknown=0)).is_held

    def test_the_largest_settings_do_not_overflow(self) -> None:
        policy = Policy(max_unknown=100, unknown_grace=timedelta(days=1))

        email = after(
            TIMED_OUT, unknown_times(100), attempt_id="attempt-100", policy=policy
        )

        assert email.due_at is not None

    def test_unsure_refusals_do_not_count_towards_the_bound(self) -> None:
        attempts = (an_attempt(UNSURE_REFUSAL), an_attempt(no=2))
        email = an_email(State.SENDING, attempts=attempts)

        again = after(
            TIMED_OUT, email, attempt_id="attempt-2", policy=Policy(max_unknown=1)
        )

        assert not again.is_held


def unknown_times(count: int) -> Email:
    """Give an email in hand that was unknown so often, with this one."""
    earlier = (an_attempt(TIMED_OUT, no=no) for no in range(1, count))
    last = an_attempt(no=count, started_at=NOW)
    return an_email(State.SENDING, attempts=(*earlier, last))
