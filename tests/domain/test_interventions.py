"""What clients and operators may do to an email, and when they may not."""

from datetime import timedelta

import pytest

from postroom.domain.change import Change
from postroom.domain.email import Delivery, Email, RecipientState, State, WaitingFor
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.interventions import (
    MARKED_SENT,
    cancelled,
    marked_sent,
    redriven,
    rescheduled,
)
from postroom.domain.outcome import RecipientRefusal, RefusalKind, Unknown
from tests.builders import (
    ACCEPTED,
    NOW,
    POLICY,
    REFUSED_FOR_GOOD,
    REFUSED_FOR_NOW,
    TIMED_OUT,
    UNSURE_REFUSAL,
    a_held_email,
    a_parked_email,
    a_recipient,
    an_attempt,
    an_email,
    at,
)


def _redriven(email: Email) -> Change:
    return redriven(email, now=NOW, policy=POLICY)


class TestRedriven:
    def test_it_has_a_new_age_and_a_full_share(self) -> None:
        email = an_email(State.FAILED, reason="refused", round=3)

        after = _redriven(email).after

        assert (after.not_before, after.due_at) == (NOW, NOW + POLICY.sweep_grace)
        assert (after.round, after.first_round, after.redrives) == (4, 4, 1)
        assert after.redriven_at == NOW
        assert (after.reason, after.dead_at, after.final_at) == (None, None, None)

    def test_refused_recipients_are_pending_again(self) -> None:
        words = (RecipientState.REFUSED, RecipientState.ACCEPTED)
        recipients = tuple(a_recipient(state=word) for word in words)
        email = an_email(State.SENT, recipients=recipients, dead_at=NOW)

        after = _redriven(email).after

        assert [r.state for r in after.recipients] == ["pending", "accepted"]

    def test_with_nobody_left_to_send_to_it_stays(self) -> None:
        with pytest.raises(ForbiddenTransitionError, match="all its recipients"):
            _redriven(an_email(State.SENT, dead_at=NOW))

    def test_the_first_time_that_it_was_sent_stays(self) -> None:
        refused = a_recipient(state=RecipientState.REFUSED)
        email = an_email(
            State.SENT, recipients=(refused,), dead_at=NOW, sent_at=at(-99)
        )

        assert _redriven(email).after.sent_at == at(-99)

    def test_what_is_erased_cannot_go_again(self) -> None:
        with pytest.raises(ForbiddenTransitionError, match="erased"):
            _redriven(an_email(State.FAILED, erased_at=NOW))

    def test_an_unknown_one_goes_again_only_by_force(self) -> None:
        held = an_email(State.UNKNOWN)
        with pytest.raises(ForbiddenTransitionError, match="may be out"):
            _redriven(held)

        change = redriven(held, now=NOW, policy=POLICY, force=True)

        assert change.after.state is State.QUEUED

    def test_once_only_mail_that_may_be_out_goes_again_only_by_force(self) -> None:
        unsure = an_email(
            State.FAILED,
            delivery=Delivery.AT_MOST_ONCE,
            attempts=(an_attempt(UNSURE_REFUSAL),),
        )

        with pytest.raises(ForbiddenTransitionError, match="may be out"):
            _redriven(unsure)


class TestCancelled:
    @pytest.mark.parametrize(
        "email",
        [
            pytest.param(an_email(State.SCHEDULED), id="scheduled"),
            pytest.param(an_email(), id="queued"),
            pytest.param(a_parked_email(), id="parked"),
            pytest.param(
                an_email(attempts=(an_attempt(REFUSED_FOR_NOW),)), id="refused"
            ),
        ],
    )
    def test_what_nobody_has_can_be_taken_back(self, email: Email) -> None:
        after = cancelled(email, now=NOW).after

        assert after.state is State.CANCELLED
        assert (after.not_before, after.due_at, after.final_at) == (None, None, NOW)
        assert after.dead_at is None

    @pytest.mark.parametrize(
        "email",
        [
            pytest.param(an_email(State.UNKNOWN), id="unknown"),
            pytest.param(an_email(attempts=(an_attempt(UNSURE_REFUSAL),)), id="unsure"),
        ],
    )
    def test_what_may_be_out_only_by_force(self, email: Email) -> None:
        with pytest.raises(ForbiddenTransitionError, match="may be out"):
            cancelled(email, now=NOW)

        assert cancelled(email, now=NOW, force=True).after.state is State.CANCELLED

    def test_never_what_some_have_or_is_in_hand(self) -> None:
        has_it = a_recipient(state=RecipientState.ACCEPTED)
        with pytest.raises(ForbiddenTransitionError, match="some recipients"):
            cancelled(an_email(recipients=(has_it, a_recipient())), now=NOW, force=True)
        for state in (State.SENDING, State.SENT, State.FAILED, State.CANCELLED):
            with pytest.raises(ForbiddenTransitionError):
                cancelled(
                    an_email(state, recipients=(a_recipient(),)), now=NOW, force=True
                )


class TestRescheduled:
    def test_time_age_and_look_move_together(self) -> None:
        email = an_email(State.SCHEDULED, not_before=at(60), due_at=at(120))

        after = rescheduled(email, to=at(7200), now=NOW, policy=POLICY).after

        assert (after.scheduled_at, after.not_before) == (at(7200), at(7200))
        assert (after.due_at, after.first_due_at) == (at(7200), at(7200))
        assert after.waiting_for is WaitingFor.SCHEDULE

    def test_a_time_that_has_passed_means_now(self) -> None:
        email = an_email(State.SCHEDULED, not_before=at(60))

        after = rescheduled(
            email, to=NOW - timedelta(days=1), now=NOW, policy=POLICY
        ).after

        assert after.not_before == NOW
        assert after.due_at == NOW + POLICY.sweep_grace

    @pytest.mark.parametrize(
        "email",
        [an_email(State.SCHEDULED, not_before=NOW), an_email(), an_email(State.SENT)],
    )
    def test_one_whose_time_has_come_is_not_moved(self, email: Email) -> None:
        with pytest.raises(ForbiddenTransitionError):
            rescheduled(email, to=at(60), now=NOW, policy=POLICY)


class TestMarkedSent:
    def test_a_held_one_is_sent_on_an_operators_word(self) -> None:
        email = a_held_email()

        after = marked_sent(email, now=NOW).after

        assert (after.state, after.reason) == (State.SENT, MARKED_SENT)
        assert [r.state for r in after.recipients] == [RecipientState.ACCEPTED]
        assert (after.sent_at, after.final_at, after.dead_at) == (NOW, NOW, None)
        assert after.attempts == email.attempts
        assert after.fence == email.fence + 1

    @pytest.mark.parametrize("state", [State.QUEUED, State.FAILED])
    def test_one_that_goes_on_although_it_may_be_out_too(self, state: State) -> None:
        email = an_email(state, attempts=(an_attempt(TIMED_OUT),))

        assert marked_sent(email, now=NOW).after.state is State.SENT

    def test_one_that_was_refused_after_it_went_out_is_no_dead_letter_any_more(
        self,
    ) -> None:
        attempts = (an_attempt(TIMED_OUT), an_attempt(REFUSED_FOR_GOOD, no=2))
        email = an_email(State.FAILED, attempts=attempts)

        after = marked_sent(email, now=NOW).after

        assert [r.state for r in after.recipients] == [RecipientState.ACCEPTED]
        assert after.dead_at is None

    def test_whom_no_attempt_in_doubt_was_for_is_given_up(self) -> None:
        email = a_held_email(
            recipients=(a_recipient(), a_recipient(addr_spec="bob@example.com"))
        )

        after = marked_sent(email, now=NOW).after

        words = [RecipientState.ACCEPTED, RecipientState.REFUSED]
        assert [r.state for r in after.recipients] == words
        assert after.dead_at == NOW

    def test_whom_the_attempt_in_doubt_had_turned_away_is_given_up(self) -> None:
        refusal = RecipientRefusal(index=1, kind=RefusalKind.TRANSIENT, code="450")
        in_doubt = an_attempt(
            Unknown(cause="timeout", refused=(refusal,)), recipients=(0, 1)
        )
        email = a_held_email(
            attempts=(in_doubt,),
            recipients=(
                a_recipient(),
                a_recipient(addr_spec="bob@example.com", code="450"),
            ),
        )

        after = marked_sent(email, now=NOW).after

        words = [(RecipientState.ACCEPTED, None), (RecipientState.REFUSED, "450")]
        assert [(r.state, r.code) for r in after.recipients] == words

    @pytest.mark.parametrize("state", [State.QUEUED, State.FAILED, State.UNKNOWN])
    def test_not_one_of_which_nothing_can_be_out(self, state: State) -> None:
        email = an_email(state, attempts=(an_attempt(REFUSED_FOR_NOW),))

        with pytest.raises(ForbiddenTransitionError, match="nothing of it can be out"):
            marked_sent(email, now=NOW)

    def test_nor_one_whose_repetition_was_accepted(self) -> None:
        attempts = (
            an_attempt(TIMED_OUT, key="k"),
            an_attempt(ACCEPTED, no=2, key="k"),
        )

        with pytest.raises(ForbiddenTransitionError, match="nothing of it can be out"):
            marked_sent(an_email(State.FAILED, attempts=attempts), now=NOW)

    @pytest.mark.parametrize(
        "state", [State.SCHEDULED, State.SENDING, State.SENT, State.CANCELLED]
    )
    def test_not_one_in_another_state(self, state: State) -> None:
        email = an_email(state, attempts=(an_attempt(TIMED_OUT),))

        with pytest.raises(ForbiddenTransitionError, match=f"{state} cannot be marked"):
            marked_sent(email, now=NOW)
