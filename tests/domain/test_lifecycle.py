"""Every edge of the lifecycle, and every pair that is none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from postroom.domain import interventions, lifecycle
from postroom.domain.change import Change
from postroom.domain.email import (
    CLAIMABLE,
    FINAL_STATES,
    Email,
    RecipientState,
    State,
    WaitingFor,
)
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.lifecycle import EDGES
from postroom.domain.policy import LONGEST_OFFER_WAIT
from postroom.domain.times import is_expired, is_too_old
from tests.builders import (
    ALPHA,
    BETA,
    NOT_SENT,
    NOW,
    POLICY,
    TIMED_OUT,
    UNSURE_REFUSAL,
    a_parked_email,
    a_recipient,
    an_attempt,
    an_email,
    at,
    seconds,
)

Transition = Callable[[Email], Change]


def _claim(email: Email) -> Change:
    return lifecycle.claim(
        email, provider=ALPHA, attempt_id="new", now=NOW, policy=POLICY
    )


def _park(email: Email) -> Change:
    return lifecycle.park(
        email,
        until=at(30),
        providers=(ALPHA,),
        is_probe=False,
        now=NOW,
        policy=POLICY,
    )


def _queued(email: Email) -> Change:
    return lifecycle.queued(email, now=NOW, wait=seconds(2), policy=POLICY)


def _failed(email: Email) -> Change:
    return lifecycle.failed(email, reason="expired", now=NOW)


def _sent(email: Email) -> Change:
    return lifecycle.sent(email, now=NOW)


def _redriven(email: Email) -> Change:
    return interventions.redriven(email, now=NOW, policy=POLICY)


def _cancelled(email: Email) -> Change:
    return interventions.cancelled(email, now=NOW, force=True)


def _rescheduled(email: Email) -> Change:
    waiting = replace(email, not_before=at(60))
    change = interventions.rescheduled(waiting, to=at(90), now=NOW, policy=POLICY)
    return replace(change, before=email)


def _unknown(email: Email) -> Change:
    return lifecycle.unknown(email, now=NOW, until=at(30))


#: Where each transition leads, and the states that it may start from.
TRANSITIONS: dict[str, tuple[Transition, State, frozenset[State]]] = {
    "claim": (_claim, State.SENDING, CLAIMABLE),
    "park": (_park, State.QUEUED, CLAIMABLE),
    "queued": (
        _queued,
        State.QUEUED,
        frozenset({*CLAIMABLE, State.SENDING, State.UNKNOWN}),
    ),
    "failed": (
        _failed,
        State.FAILED,
        frozenset({*CLAIMABLE, State.SENDING, State.UNKNOWN}),
    ),
    "sent": (
        _sent,
        State.SENT,
        frozenset(State) - {State.SCHEDULED, State.SUPPRESSED},
    ),
    "redriven": (_redriven, State.QUEUED, frozenset({State.SENT, State.FAILED})),
    "cancelled": (
        _cancelled,
        State.CANCELLED,
        frozenset({*CLAIMABLE, State.UNKNOWN}),
    ),
    "rescheduled": (_rescheduled, State.SCHEDULED, frozenset({State.SCHEDULED})),
    "unknown": (
        _unknown,
        State.UNKNOWN,
        frozenset({State.QUEUED, State.SENDING, State.UNKNOWN}),
    ),
}

#: `corrected` leaves the state alone.
CORRECTIONS = {
    State.SENDING,
    State.UNKNOWN,
    State.SENT,
    State.FAILED,
    State.CANCELLED,
}


def _pairs(*, allowed: bool) -> list[ParameterSet]:
    return [
        pytest.param(name, state, id=f"{name}-from-{state}")
        for name, (_, _, states) in TRANSITIONS.items()
        for state in State
        if (state in states) is allowed
    ]


@pytest.mark.parametrize(("name", "state"), _pairs(allowed=True))
def test_a_transition_leads_along_an_edge_and_moves_the_fence_on(
    name: str, state: State
) -> None:
    transition, end, _ = TRANSITIONS[name]
    refused = (a_recipient(state=RecipientState.REFUSED),)
    dead = {"dead_at": NOW, "recipients": refused} if name == "redriven" else {}
    email = an_email(state, **dead)

    change = transition(email)

    assert change.before is email
    assert change.after.state is end
    assert end in EDGES[state]
    assert change.after.fence == email.fence + 1
    assert change.after.offers == 0
    assert change.after.updated_at == NOW
    assert change.guard.admits(email)


@pytest.mark.parametrize(("name", "state"), _pairs(allowed=False))
def test_a_forbidden_transition_is_refused(name: str, state: State) -> None:
    transition, _, _ = TRANSITIONS[name]

    with pytest.raises(ForbiddenTransitionError):
        transition(an_email(state, not_before=at(-1), due_at=at(9)))


def test_no_edge_is_drawn_that_no_function_walks() -> None:
    walked = {
        (state, end) for _, end, states in TRANSITIONS.values() for state in states
    } | {(state, state) for state in CORRECTIONS}

    assert walked == {(start, end) for start, ends in EDGES.items() for end in ends}


def test_only_a_late_acceptance_or_a_redrive_leaves_a_final_state() -> None:
    for state in FINAL_STATES:
        assert EDGES[state] <= {state, State.SENT, State.QUEUED}


@pytest.mark.parametrize("state", State)
def test_a_correction_moves_the_fence_and_nothing_else(state: State) -> None:
    email = an_email(state)

    after = lifecycle.corrected(email, now=NOW).after

    assert after == replace(email, fence=email.fence + 1, updated_at=NOW)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_times_are_set_only_while_an_email_is_open(name: str) -> None:
    transition, end, states = TRANSITIONS[name]

    after = transition(an_email(min(states))).after

    assert (after.due_at is None) is (end in FINAL_STATES)
    if end in FINAL_STATES:
        assert after.not_before is None
        assert after.waiting_for is None


class TestClaim:
    def test_it_writes_the_attempt_before_anything_is_sent(self) -> None:
        after = _claim(an_email(recipients=(a_recipient(), a_recipient()))).after

        assert after.attempts == (
            an_attempt(id="new", recipients=(0, 1), started_at=NOW),
        )
        assert after.due_at == NOW + POLICY.lease

    def test_it_is_for_pending_recipients_only(self) -> None:
        done = a_recipient(state=RecipientState.REFUSED)

        after = _claim(an_email(recipients=(done, a_recipient()))).after

        assert after.attempts[-1].recipients == (1,)

    def test_attempts_are_numbered_over_all_rounds(self) -> None:
        email = an_email(attempts=(an_attempt(), an_attempt(no=2)), round=2)

        attempt = _claim(email).after.attempts[-1]

        assert (attempt.no, attempt.round) == (3, 2)

    @pytest.mark.parametrize("not_before", [at(0.001), None])
    def test_it_is_refused_before_its_time(self, not_before: object) -> None:
        with pytest.raises(ForbiddenTransitionError, match="no claim before"):
            _claim(an_email(not_before=not_before))

    def test_it_names_every_attempt_that_may_be_out(self) -> None:
        attempts = (
            an_attempt(TIMED_OUT),
            an_attempt(UNSURE_REFUSAL, no=2),
            an_attempt(NOT_SENT, no=3),
        )

        after = _claim(an_email(attempts=attempts)).after

        (duplicate,) = after.possible_duplicates
        assert duplicate.attempt_id == "new"
        assert duplicate.earlier == ("attempt-1", "attempt-2")
        assert duplicate.at == NOW

    def test_no_duplicate_is_recorded_when_all_is_certain(self) -> None:
        assert _claim(an_email()).after.possible_duplicates == ()


class TestSent:
    def test_pending_recipients_are_given_up_and_the_others_stay(self) -> None:
        states = (RecipientState.PENDING, RecipientState.ACCEPTED, "suppressed")
        recipients = tuple(a_recipient(state=RecipientState(s)) for s in states)

        after = _sent(an_email(State.SENDING, recipients=recipients)).after

        assert [r.state for r in after.recipients] == [
            "refused",
            "accepted",
            "suppressed",
        ]
        assert (after.sent_at, after.dead_at) == (NOW, NOW)

    def test_with_all_accepted_it_is_no_dead_letter(self) -> None:
        accepted = a_recipient(state=RecipientState.ACCEPTED)
        email = an_email(State.FAILED, recipients=(accepted,))

        after = _sent(email).after

        assert (after.dead_at, after.reason) == (None, None)

    def test_the_reason_of_a_failure_is_gone(self) -> None:
        assert _sent(an_email(State.FAILED, reason="refused")).after.reason is None

    def test_the_first_instant_stays(self) -> None:
        assert _sent(an_email(State.SENT, sent_at=at(-9))).after.sent_at == at(-9)


class TestFailed:
    def test_the_recipients_stay_as_they_are(self) -> None:
        assert _failed(an_email()).after.recipients == (a_recipient(),)

    def test_it_is_a_dead_letter_with_its_reason(self) -> None:
        change = lifecycle.failed(
            an_email(), reason="no_provider", now=NOW, detail="alpha: too_large"
        )

        assert change.after.dead_at == NOW
        assert change.after.reason == "no_provider"
        assert change.after.reason_detail == "alpha: too_large"

    def test_what_some_have_is_sent_and_the_others_are_given_up(self) -> None:
        accepted = a_recipient(state=RecipientState.ACCEPTED)
        email = an_email(recipients=(a_recipient(code="451"), a_recipient(), accepted))

        change = _failed(email)

        assert change.before is email
        assert change.after.state is State.SENT
        assert [r.code for r in change.after.recipients] == ["451", "expired", None]
        assert change.after.dead_at == NOW


class TestFinalAt:
    def test_it_counts_from_the_first_end(self) -> None:
        email = an_email(State.FAILED, final_at=at(-9))

        assert _sent(email).after.final_at == at(-9)
        assert _failed(an_email()).after.final_at == NOW

    def test_an_erased_one_has_none(self) -> None:
        assert _sent(an_email(State.FAILED, erased_at=NOW)).after.final_at is None


class TestQueued:
    def test_a_new_round_is_counted(self) -> None:
        change = lifecycle.queued(
            an_email(State.SENDING),
            now=NOW,
            wait=seconds(2),
            policy=POLICY,
            new_round=True,
        )

        assert change.after.round == 2

    def test_a_short_wait_gives_its_hint_the_grace(self) -> None:
        after = lifecycle.queued(
            an_email(), now=NOW, wait=seconds(60), policy=POLICY
        ).after

        assert after.waiting_for is WaitingFor.BACKOFF
        assert (after.not_before, after.due_at) == (at(60), at(120))

    def test_a_long_wait_is_left_to_the_sweep(self) -> None:
        after = lifecycle.queued(
            an_email(), now=NOW, wait=seconds(61), policy=POLICY
        ).after

        assert (after.not_before, after.due_at) == (at(61), at(61))

    def test_without_a_wait_it_waits_for_nothing(self) -> None:
        after = lifecycle.queued(
            an_email(), now=NOW, wait=timedelta(0), policy=POLICY
        ).after

        assert after.waiting_for is None
        assert after.not_before == NOW

    def test_it_is_parked_no_more(self) -> None:
        assert _queued(a_parked_email()).after.parked_for == ()


class TestPark:
    @pytest.mark.parametrize(
        ("is_probe", "until", "due_at"),
        [
            pytest.param(True, at(30), at(90), id="the-probe-has-a-hint"),
            pytest.param(True, at(61), at(61), id="a-late-probe-has-none"),
            pytest.param(
                False, at(30), NOW + LONGEST_OFFER_WAIT, id="the-others-wait-longer"
            ),
        ],
    )
    def test_who_knocks_is_looked_at_earlier(
        self, is_probe: bool, until: object, due_at: object
    ) -> None:
        after = lifecycle.park(
            an_email(),
            until=until,  # type: ignore[arg-type]
            providers=(ALPHA, BETA),
            is_probe=is_probe,
            now=NOW,
            policy=POLICY,
        ).after

        assert after.waiting_for is WaitingFor.PROVIDER
        assert after.parked_for == (ALPHA, BETA)
        assert after.not_before == until
        assert after.due_at == due_at

    def test_a_time_that_has_passed_means_now(self) -> None:
        after = lifecycle.park(
            an_email(),
            until=at(-5),
            providers=(),
            is_probe=True,
            now=NOW,
            policy=POLICY,
        ).after

        assert after.not_before == NOW


class TestUnknown:
    def test_with_a_time_it_waits_for_word(self) -> None:
        after = _unknown(an_email(State.SENDING)).after

        assert (after.waiting_for, after.due_at) == (WaitingFor.OUTCOME, at(30))
        assert not after.is_held

    def test_without_one_it_is_held_for_an_operator(self) -> None:
        after = lifecycle.unknown(an_email(State.SENDING), now=NOW, until=None).after

        assert (after.waiting_for, after.due_at) == (WaitingFor.OPERATOR, None)
        assert after.is_held


class TestOffered:
    def test_it_leaves_the_fence_and_matches_what_it_moves(self) -> None:
        email = an_email(due_at=NOW)

        change = lifecycle.offered(email, now=NOW, policy=POLICY)

        assert change.after.fence == email.fence
        assert change.after.offers == 1
        assert change.after.due_at == at(60)
        assert not change.guard.admits(replace(email, due_at=at(1)))

    @pytest.mark.parametrize(
        ("offers", "wait"), [(0, 60), (1, 120), (3, 480), (4, 900), (5000, 900)]
    )
    def test_each_offer_doubles_the_wait_up_to_15_minutes(
        self, offers: int, wait: int
    ) -> None:
        email = an_email(due_at=NOW, offers=offers)

        assert lifecycle.offered(email, now=NOW, policy=POLICY).after.due_at == at(wait)

    def test_an_early_offer_counts_from_the_time_of_the_email(self) -> None:
        email = an_email(not_before=at(40), due_at=at(40))

        assert lifecycle.offered(email, now=NOW, policy=POLICY).after.due_at == at(100)

    @pytest.mark.parametrize("state", sorted(set(State) - CLAIMABLE))
    def test_what_waits_for_no_provider_is_never_offered(self, state: State) -> None:
        with pytest.raises(ForbiddenTransitionError):
            lifecycle.offered(an_email(state), now=NOW, policy=POLICY)

    @pytest.mark.parametrize("field", ["due_at", "not_before"])
    def test_what_has_no_time_is_never_offered(self, field: str) -> None:
        missing: dict[str, Any] = {field: None}

        with pytest.raises(ForbiddenTransitionError):
            lifecycle.offered(an_email(**missing), now=NOW, policy=POLICY)


class TestAge:
    def test_it_counts_from_the_first_due_instant(self) -> None:
        email = an_email(first_due_at=NOW - POLICY.max_age)

        assert not is_expired(email, now=NOW, policy=POLICY)
        assert is_expired(email, now=at(1), policy=POLICY)

    def test_a_redrive_starts_it_anew(self) -> None:
        email = an_email(first_due_at=NOW - 9 * POLICY.max_age, redriven_at=NOW)

        assert not is_expired(email, now=at(1), policy=POLICY)

    @pytest.mark.parametrize("state", sorted(set(State) - CLAIMABLE))
    def test_nothing_expires_that_is_in_hand_or_may_be_out(self, state: State) -> None:
        email = an_email(state, first_due_at=NOW - 9 * POLICY.max_age)

        assert is_too_old(email, now=NOW, policy=POLICY)
        assert not is_expired(email, now=NOW, policy=POLICY)


def test_what_nobody_is_to_get_cannot_be_claimed() -> None:
    accepted = a_recipient(state=RecipientState.ACCEPTED)

    with pytest.raises(ForbiddenTransitionError, match="no recipient is pending"):
        _claim(an_email(recipients=(accepted,)))
