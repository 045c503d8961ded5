"""What an answer says of single recipients, and what becomes of the email then."""

from datetime import timedelta

import pytest

from postroom.domain import lifecycle
from postroom.domain.attempts import standing_of
from postroom.domain.email import Delivery, Email, RecipientState, State, WaitingFor
from postroom.domain.outcome import (
    Accepted,
    Outcome,
    RecipientRefusal,
    RefusalKind,
    Refused,
    Unknown,
)
from postroom.domain.settling import record
from tests.builders import (
    ALPHA,
    NOT_SENT,
    NOW,
    POLICY,
    TIMED_OUT,
    a_recipient,
    a_result,
    an_attempt,
    an_email,
    at,
)


def for_good(index: int) -> RecipientRefusal:
    return RecipientRefusal(index=index, kind=RefusalKind.PERMANENT, code="550 5.1.1")


def for_now(index: int) -> RecipientRefusal:
    return RecipientRefusal(index=index, kind=RefusalKind.TRANSIENT, code="451 4.7.1")


def taken(*refused: RecipientRefusal) -> Accepted:
    return Accepted(provider_message_id="m", refused=refused)


def all_refused(kind: RefusalKind, *refused: RecipientRefusal) -> Refused:
    return Refused(kind=kind, certain=True, code="450", refused=refused)


def sending(count: int = 3, **given: object) -> Email:
    positions = tuple(range(count))
    return an_email(
        State.SENDING,
        recipients=tuple(a_recipient(addr_spec=f"{n}@b.example") for n in positions),
        attempts=(an_attempt(recipients=positions),),
        **given,
    )


def after(outcome: Outcome, email: Email, **given: object) -> Email:
    change = record(email, a_result(outcome, **given), now=NOW, policy=POLICY)
    assert change is not None
    return change.after


def words(email: Email) -> list[tuple[str, str | None]]:
    return [(r.state.value, r.code) for r in email.recipients]


class TestAccepted:
    def test_one_refused_for_good_is_recorded_and_the_email_is_sent(self) -> None:
        email = after(taken(for_good(1)), sending())

        assert email.state is State.SENT
        assert words(email) == [
            ("accepted", None),
            ("refused", "550 5.1.1"),
            ("accepted", None),
        ]
        assert email.dead_at == NOW

    def test_one_refused_for_now_waits_alone(self) -> None:
        email = after(taken(for_now(1)), sending(), others=("beta",))

        assert (email.state, email.waiting_for) == (State.QUEUED, WaitingFor.BACKOFF)
        assert email.pending == (1,)
        assert words(email)[1] == ("pending", "451 4.7.1")
        assert email.not_before == email.attempts[0].retry_at
        assert email.not_before is not None
        assert email.not_before > NOW
        assert standing_of(email).part_sent

    def test_the_next_attempt_is_for_that_one_only(self) -> None:
        email = after(taken(for_now(1)), sending())

        claim = lifecycle.claim(
            email, provider=ALPHA, attempt_id="2", now=at(999), policy=POLICY
        )

        assert claim.after.attempts[1].recipients == (1,)
        assert claim.after.possible_duplicates == ()
        second = after(
            Accepted(provider_message_id="n"), claim.after, attempt_id="2", jitter=0.5
        )
        assert second.state is State.SENT
        assert second.dead_at is None

    def test_one_that_stays_refused_is_given_up_when_the_email_is_too_old(self) -> None:
        email = sending(first_due_at=NOW - timedelta(days=2))

        old = after(taken(for_now(1)), email)

        assert old.state is State.SENT
        assert words(old)[1] == ("refused", "451 4.7.1")


class TestRefused:
    def test_all_for_good_each_with_its_own_code(self) -> None:
        email = after(
            all_refused(RefusalKind.PERMANENT, for_good(0), for_good(1)), sending(2)
        )

        assert (email.state, email.reason) == (State.FAILED, "refused")
        assert words(email) == [("refused", "550 5.1.1")] * 2

    def test_mixed_the_one_for_now_goes_again_anywhere(self) -> None:
        refusal = all_refused(RefusalKind.TRANSIENT, for_good(0), for_now(1))

        email = after(refusal, sending(2), others=("beta",))

        assert email.state is State.QUEUED
        assert email.not_before == NOW
        assert email.pending == (1,)
        assert not standing_of(email).part_sent

    def test_a_refusal_of_the_whole_speaks_for_the_others(self) -> None:
        refusal = Refused(
            kind=RefusalKind.PERMANENT, certain=True, code="554", refused=(for_now(1),)
        )

        email = after(refusal, sending(2))

        assert words(email) == [("refused", "554"), ("pending", "451 4.7.1")]
        assert email.state is State.QUEUED


class TestUnknown:
    def test_those_refused_before_are_not_in_doubt(self) -> None:
        dropped = Unknown(cause="reset", refused=(for_good(2),))

        email = after(dropped, sending(delivery=Delivery.AT_MOST_ONCE))

        assert email.is_held
        assert email.pending == (0, 1)

    def test_a_late_acceptance_of_a_part_lets_the_rest_go_on(self) -> None:
        unknown = after(TIMED_OUT, sending(2))
        again = an_attempt(recipients=(0, 1))
        waiting = an_email(
            State.UNKNOWN, recipients=unknown.recipients, attempts=(again,)
        )

        email = after(taken(for_now(1)), waiting)

        assert email.state is State.QUEUED
        assert email.pending == (1,)

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
    def test_a_late_acceptance_of_a_part_settles_what_nobody_sends(
        self, state: State
    ) -> None:
        late = an_email(
            state,
            recipients=(a_recipient(), a_recipient()),
            attempts=(an_attempt(recipients=(0, 1)),),
        )

        email = after(taken(for_now(1)), late)

        assert email.state is State.SENT
        assert words(email) == [("accepted", None), ("refused", "451 4.7.1")]


class TestLate:
    def test_a_late_refusal_takes_no_recipient_from_a_newer_attempt(self) -> None:
        email = an_email(State.SENDING, attempts=(an_attempt(), an_attempt(no=2)))

        told = after(all_refused(RefusalKind.PERMANENT, for_good(0)), email)

        assert told.state is State.SENDING
        assert told.pending == (0,)

    def test_the_last_word_on_an_unknown_one_may_refuse_it(self) -> None:
        email = an_email(State.UNKNOWN, attempts=(an_attempt(),))

        told = after(all_refused(RefusalKind.PERMANENT, for_good(0)), email)

        assert (told.state, told.reason) == (State.FAILED, "refused")

    def test_nothing_sent_leaves_all_pending(self) -> None:
        email = after(NOT_SENT, sending())

        assert {r.state for r in email.recipients} == {RecipientState.PENDING}

    def test_a_late_acceptance_takes_the_email_off_the_dead_letters(self) -> None:
        first, second = an_attempt(), an_attempt(taken(for_good(0)), no=2)
        refused = a_recipient(state=RecipientState.REFUSED, code="550")
        email = an_email(
            State.SENT, recipients=(refused,), attempts=(first, second), dead_at=NOW
        )

        sent = after(taken(), email)

        assert sent.recipients[0].state is RecipientState.ACCEPTED
        assert sent.dead_at is None

    def test_its_refusals_take_nobody_from_a_redrive(self) -> None:
        old = an_attempt(recipients=(0, 1))
        email = an_email(
            recipients=(a_recipient(), a_recipient()),
            attempts=(old,),
            round=2,
            first_round=2,
        )

        told = after(taken(for_good(1)), email)

        assert (told.state, told.pending) == (State.QUEUED, (1,))

    def test_a_refusal_in_doubt_is_not_the_last_word_on_once_only_mail(self) -> None:
        unsure = Refused(kind=RefusalKind.PERMANENT, certain=False, code="500")

        email = after(unsure, sending(delivery=Delivery.AT_MOST_ONCE))

        assert email.is_held
        assert email.pending == (0, 1, 2)
