"""The decision table: what each outcome makes of an email, in time and late."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.change import Change
from postroom.domain.email import (
    Attempt,
    Delivery,
    Email,
    RecipientState,
    State,
    WaitingFor,
)
from postroom.domain.erasure import erased_whole
from postroom.domain.outcome import (
    Accepted,
    Outcome,
    OutcomeWord,
    RecipientRefusal,
    RefusalKind,
)
from postroom.domain.policy import Policy
from postroom.domain.settling import SETTLED_LATE, lapse, record
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
    a_held_email,
    a_recipient,
    a_refusal,
    a_result,
    an_attempt,
    an_email,
    at,
    seconds,
    tries,
)

ONCE = Delivery.AT_MOST_ONCE


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


class TestLateAcceptance:
    @pytest.mark.parametrize("state", State)
    def test_it_is_written_whatever_the_state(self, state: State) -> None:
        email = an_email(state, attempts=(an_attempt(), an_attempt(no=2)))

        change = recorded(ACCEPTED, email)

        assert change is not None
        assert change.after.attempts[0].outcome is OutcomeWord.ACCEPTED
        assert change.after.fence == email.fence + 1
        expected = State.SENT if state in SETTLED_LATE else state
        assert change.after.state is expected

    def test_it_settles_what_is_queued_unknown_failed_or_cancelled(self) -> None:
        assert set(map(str, SETTLED_LATE)) == {
            "queued",
            "unknown",
            "failed",
            "cancelled",
        }

    def test_a_held_email_is_sent(self) -> None:
        email = after(ACCEPTED, a_held_email(attempts=(an_attempt(),)))

        assert (email.state, email.waiting_for) == (State.SENT, None)

    def test_it_undoes_the_refusal_of_the_recipients(self) -> None:
        attempts = (an_attempt(), an_attempt(no=2))
        email = an_email(State.SENDING, attempts=attempts)
        refused = after(REFUSED_FOR_GOOD, email, attempt_id="attempt-2")

        sent = after(ACCEPTED, refused)

        assert [r.state for r in sent.recipients] == ["accepted"]

    def test_with_a_newer_attempt_in_hand_it_corrects_its_own(self) -> None:
        email = an_email(State.SENDING, attempts=(an_attempt(), an_attempt(no=2)))

        corrected = after(ACCEPTED, email)

        assert corrected.state is State.SENDING
        assert corrected.due_at == email.due_at
        assert after(TIMED_OUT, corrected, attempt_id="attempt-2").state is State.SENT


class TestLateResult:
    @pytest.mark.parametrize(
        "state", sorted(set(State) - {State.SENDING, State.UNKNOWN})
    )
    @pytest.mark.parametrize("name", sorted(set(OUTCOMES) - {"accepted", "unknown"}))
    def test_it_corrects_its_attempt_only(self, state: State, name: str) -> None:
        email = an_email(state, attempts=(an_attempt(), an_attempt(no=2)))

        corrected = after(OUTCOMES[name], email)

        assert corrected.state is state
        assert corrected.fence == email.fence + 1
        assert corrected.attempts[0].ended_at == NOW
        assert replace(
            corrected, fence=email.fence, attempts=(), updated_at=NOW
        ) == replace(email, attempts=(), updated_at=NOW)

    @pytest.mark.parametrize("state", sorted(set(State) - {State.SENDING}))
    def test_a_late_unknown_says_nothing_new(self, state: State) -> None:
        email = an_email(state, attempts=(an_attempt(),))

        assert recorded(TIMED_OUT, email) is None

    @pytest.mark.parametrize("name", ["transient", "account", "not_sent", "too_late"])
    @pytest.mark.parametrize("delivery", Delivery)
    def test_the_last_uncertainty_gone_it_goes_on_at_once(
        self, name: str, delivery: Delivery
    ) -> None:
        email = a_held_email(attempts=(an_attempt(),), delivery=delivery)

        settled = after(OUTCOMES[name], email)

        assert (settled.state, settled.not_before) == (State.QUEUED, NOW)

    def test_a_late_refusal_for_good_fails_it(self) -> None:
        settled = after(REFUSED_FOR_GOOD, a_held_email(attempts=(an_attempt(),)))

        assert (settled.state, settled.reason) == (State.FAILED, "refused")
        assert settled.recipients[0].code == "550"

    def test_another_uncertain_attempt_keeps_it_unknown(self) -> None:
        attempts = (an_attempt(TIMED_OUT), an_attempt(no=2))
        email = an_email(State.UNKNOWN, attempts=attempts)

        settled = after(REFUSED_FOR_GOOD, email, attempt_id="attempt-2")

        assert settled.state is State.UNKNOWN
        assert settled.due_at == email.due_at

    def test_an_unsure_refusal_keeps_it_unknown(self) -> None:
        email = an_email(State.UNKNOWN, attempts=(an_attempt(),))

        assert after(UNSURE_REFUSAL, email).state is State.UNKNOWN

    def test_uncertainties_from_before_a_redrive_do_not_count(self) -> None:
        attempts = (an_attempt(TIMED_OUT), an_attempt(no=2, round=2))
        email = a_held_email(attempts=attempts, round=2, first_round=2)

        assert after(NOT_SENT, email, attempt_id="attempt-2").state is State.QUEUED


class TestLapse:
    @pytest.mark.parametrize(
        "state", sorted(set(State) - {State.SENDING, State.UNKNOWN})
    )
    def test_what_nobody_has_in_hand_does_not_lapse(self, state: State) -> None:
        assert lapse(an_email(state, due_at=at(-1)), now=NOW, policy=POLICY) is None

    @pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN])
    @pytest.mark.parametrize("due_at", [None, at(0.001)])
    def test_nothing_lapses_before_its_time(self, state: State, due_at: object) -> None:
        assert lapse(an_email(state, due_at=due_at), now=NOW, policy=POLICY) is None

    def test_a_lease_that_ran_out_is_an_unknown_attempt(self) -> None:
        email = an_email(State.SENDING, due_at=NOW)

        change = lapse(email, now=NOW, policy=POLICY)

        assert change is not None
        assert change.after.state is State.UNKNOWN
        assert change.after.due_at == email.attempts[0].started_at + seconds(45)
        assert change.after.attempts[0].ended_at is None

    def test_a_lease_that_ran_out_long_ago_adds_no_wait(self) -> None:
        attempt = an_attempt(started_at=at(-1000))
        email = an_email(State.SENDING, due_at=NOW, attempts=(attempt,))

        change = lapse(email, now=NOW, policy=POLICY)

        assert change is not None
        assert change.after.due_at == NOW

    def test_an_email_that_must_not_go_out_twice_is_held(self) -> None:
        email = an_email(State.SENDING, due_at=NOW, delivery=ONCE)

        change = lapse(email, now=NOW, policy=POLICY)

        assert change is not None
        assert change.after.is_held

    def test_an_older_acceptance_makes_it_sent(self) -> None:
        attempts = (an_attempt(ACCEPTED), an_attempt(no=2))
        has_it = (a_recipient(state=RecipientState.ACCEPTED),)
        email = an_email(
            State.SENDING, due_at=NOW, attempts=attempts, recipients=has_it
        )

        change = lapse(email, now=NOW, policy=POLICY)

        assert change is not None
        assert change.after.state is State.SENT

    def test_a_wait_that_is_over_sends_it_again(self) -> None:
        change = lapse(an_email(State.UNKNOWN, due_at=NOW), now=NOW, policy=POLICY)

        assert change is not None
        assert (change.after.state, change.after.not_before) == (State.QUEUED, NOW)


class TestConfirmedDuplicates:
    """Two acceptances for one recipient, under two names at the providers."""

    def _twice(self, **first: object) -> Email:
        earlier = an_attempt(ACCEPTED, **first)
        later = an_attempt(no=2, provider=BETA)
        sent_to = (a_recipient(state=RecipientState.ACCEPTED),)
        email = an_email(State.SENDING, attempts=(earlier, later), recipients=sent_to)
        return after(Accepted(provider_message_id="other"), email, attempt_id=later.id)

    def test_a_second_acceptance_is_recorded(self) -> None:
        (found,) = self._twice().confirmed_duplicates

        assert (found.attempt_id, found.earlier) == ("attempt-2", ("attempt-1",))
        assert found.at == NOW

    def test_one_by_a_provider_that_gives_no_names_too(self) -> None:
        assert self._twice(provider_message_id=None).confirmed_duplicates

    def test_the_same_name_at_the_same_provider_is_one_email(self) -> None:
        email = self._twice(provider=BETA, provider_message_id="other")

        assert not email.confirmed_duplicates

    def test_another_recipient_is_no_duplicate(self) -> None:
        earlier = an_attempt(ACCEPTED, recipients=(0, 1))
        later = an_attempt(no=2, recipients=(1,))
        recipients = (a_recipient(state=RecipientState.ACCEPTED), a_recipient())
        email = an_email(
            State.SENDING, attempts=(earlier, later), recipients=recipients
        )

        settled = after(
            Accepted(provider_message_id="other"), email, attempt_id=later.id
        )

        assert settled.state is State.SENT
        assert not settled.confirmed_duplicates

    def test_who_was_refused_now_has_it_once(self) -> None:
        earlier = an_attempt(ACCEPTED)
        later = an_attempt(no=2)
        sent_to = (a_recipient(state=RecipientState.ACCEPTED),)
        refusal = RecipientRefusal(index=0, kind=RefusalKind.PERMANENT, code="550")
        email = an_email(State.SENDING, attempts=(earlier, later), recipients=sent_to)

        settled = after(
            Accepted(provider_message_id="other", refused=(refusal,)),
            email,
            attempt_id=later.id,
        )

        assert not settled.confirmed_duplicates


class TestLateNews:
    def test_it_clears_up_what_was_recorded_in_doubt(self) -> None:
        email = a_held_email(attempts=(an_attempt(TIMED_OUT),))

        assert after(ACCEPTED, email).state is State.SENT

    def test_an_acceptance_clears_up_a_refusal(self) -> None:
        email = an_email(
            State.QUEUED,
            attempts=(an_attempt(UNSURE_REFUSAL),),
            possible_duplicates=(),
        )

        assert after(ACCEPTED, email).state is State.SENT

    def test_a_refusal_does_not_undo_an_acceptance(self) -> None:
        email = an_email(State.SENT, attempts=(an_attempt(ACCEPTED),))

        assert recorded(REFUSED_FOR_GOOD, email) is None

    def test_what_is_still_in_doubt_elsewhere_stays_bound(self) -> None:
        attempts = (
            an_attempt(TIMED_OUT, provider=BETA),
            an_attempt(TIMED_OUT, no=2, key="k", key_until=NOW - seconds(1)),
        )
        email = an_email(State.QUEUED, attempts=attempts, bound_to=ALPHA)

        settled = after(REFUSED_FOR_NOW, email, attempt_id="attempt-2")

        assert settled.bound_to == ALPHA


class TestErased:
    def test_a_late_refusal_does_not_bring_a_name_back(self) -> None:
        email = an_email(State.CANCELLED, attempts=(an_attempt(TIMED_OUT),))
        erased = erased_whole(email, now=NOW, keep_email=POLICY.keep_email).after

        told = after(a_refusal(code="550", detail="no ada here"), erased)

        assert (told.attempts[0].code, told.attempts[0].detail) == ("550", None)

    def test_a_late_acceptance_still_makes_it_sent(self) -> None:
        email = an_email(State.CANCELLED, attempts=(an_attempt(TIMED_OUT),))
        erased = erased_whole(email, now=NOW, keep_email=POLICY.keep_email).after

        told = after(ACCEPTED, erased)

        assert told.state is State.SENT
        assert [recipient.addr_spec for recipient in told.recipients] == [""]
