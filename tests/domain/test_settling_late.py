"""News that comes late, or never: what it makes of an email that has gone on."""

from dataclasses import replace

import pytest

from postroom.domain.email import Delivery, RecipientState, State
from postroom.domain.erasure import erased_whole
from postroom.domain.outcome import OutcomeWord
from postroom.domain.settling import SETTLED_LATE, lapse
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
    UNSURE_REFUSAL,
    a_held_email,
    a_recipient,
    a_refusal,
    an_attempt,
    an_email,
    at,
    seconds,
)
from tests.domain.recording import after, recorded

ONCE = Delivery.AT_MOST_ONCE


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
