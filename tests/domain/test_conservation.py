"""Where an accepted email can be, and what the accounts say of one that is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postroom.domain.conservation import (
    HOUR,
    Account,
    Condition,
    Contradiction,
    Group,
    Position,
    accounts_of,
    condition_of,
    contradiction_of,
    due_since,
    hour_of,
)
from postroom.domain.email import FINAL_STATES, Email, State
from postroom.domain.interventions import MARKED_SENT
from tests.builders import (
    ACCEPTED,
    NOW,
    TIMED_OUT,
    a_held_email,
    a_parked_email,
    an_attempt,
    an_email,
    at,
    seconds,
)


def a_sent_email(**given: object) -> Email:
    values = {"attempts": (an_attempt(ACCEPTED),), "due_at": None} | given
    return an_email(State.SENT, **values)


def an_account(**given: int) -> Account:
    counts = {"accepted": 0, "final": 0, "open": 0, "held": 0, "astray": 0} | given
    return Account(hour=NOW, **counts)


def a_group(condition: Condition, count: int, *, hour: datetime = NOW) -> Group:
    return Group(hour=hour, state="queued", condition=condition, count=count)


def test_the_hour_is_that_of_the_id_whatever_else_says() -> None:
    made = datetime(2026, 11, 24, 12, 59, 59, tzinfo=UTC)

    assert hour_of(f"{int(made.timestamp()):08x}{7:016x}") == NOW


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_what_ended_is_final_and_astray_while_a_time_says_otherwise(
    state: State,
) -> None:
    email = an_email(state, due_at=None)

    assert condition_of(email) is Condition.FINAL
    assert condition_of(replace(email, due_at=NOW)) is Condition.ASTRAY


@pytest.mark.parametrize("state", sorted(set(State) - FINAL_STATES))
def test_what_has_a_time_is_open(state: State) -> None:
    assert condition_of(an_email(state, due_at=NOW)) is Condition.OPEN


def test_without_a_time_only_unknown_email_is_held() -> None:
    others = set(State) - FINAL_STATES - {State.UNKNOWN}

    assert condition_of(a_held_email()) is Condition.HELD
    for state in others:
        assert condition_of(an_email(state, due_at=None)) is Condition.ASTRAY


def test_offers_do_not_make_what_may_be_claimed_younger() -> None:
    email = an_email(State.QUEUED, not_before=at(-900), due_at=at(60), offers=5)

    assert due_since(email) == at(-900)


def test_what_is_parked_or_in_hand_is_due_when_the_sweep_looks_at_it() -> None:
    parked = replace(a_parked_email(), not_before=at(-100), due_at=at(5))

    assert due_since(parked) == at(5)
    assert due_since(an_email(State.SENDING, due_at=at(6))) == at(6)
    assert due_since(a_held_email()) is None
    assert due_since(an_email(State.SENT, due_at=NOW)) is None


@pytest.mark.parametrize(
    ("email", "contradiction"),
    [
        (an_email(State.QUEUED, due_at=None), Contradiction.OPEN_WITHOUT_TIME),
        (a_sent_email(due_at=NOW), Contradiction.FINAL_WITH_TIME),
        (an_email(State.QUEUED, not_before=None), Contradiction.NEVER_CLAIMABLE),
        (
            an_email(State.SENDING, attempts=()),
            Contradiction.SENDING_WITHOUT_ATTEMPT,
        ),
        (
            a_sent_email(attempts=(an_attempt(TIMED_OUT),)),
            Contradiction.SENT_WITHOUT_ACCEPTANCE,
        ),
        (an_email(State.QUEUED), None),
        (an_email(State.SENDING, attempts=(an_attempt(),)), None),
        (a_sent_email(), None),
        (a_sent_email(attempts=(), reason=MARKED_SENT), None),
        (a_sent_email(attempts=(), redrives=1), None),
        (a_held_email(), None),
        (an_email(State.FAILED, due_at=None), None),
    ],
)
def test_what_no_write_of_ours_leads_to_is_named(
    email: Email, contradiction: Contradiction | None
) -> None:
    assert contradiction_of(email) is contradiction


def test_every_accepted_email_is_in_one_column() -> None:
    groups = [
        a_group(Condition.OPEN, 3),
        a_group(Condition.OPEN, 1),
        a_group(Condition.HELD, 2),
        a_group(Condition.ASTRAY, 1, hour=NOW + HOUR),
    ]

    first, second = accounts_of(
        [NOW],
        accepted={NOW: 10, NOW + HOUR: 1},
        stored={NOW: 10, NOW + HOUR: 1},
        groups=groups,
    )

    assert first == an_account(accepted=10, final=4, open=4, held=2)
    assert (first.gap, second.gap) == (0, 1)
    assert (second.astray, second.missing) == (1, 0)


def test_what_the_ledger_has_and_nobody_else_is_missing() -> None:
    account = an_account(accepted=5, final=2, open=1, held=1)

    assert (account.missing, account.uncounted, account.gap) == (1, 0, 1)


def test_what_the_ledger_missed_is_no_loss_and_is_told() -> None:
    account = an_account(accepted=3, final=5)

    assert (account.missing, account.uncounted, account.gap) == (0, 2, 0)


def test_an_hour_of_which_nothing_is_left_is_accounted_for() -> None:
    (account,) = accounts_of([], accepted={NOW: 2}, stored={}, groups=[])

    assert (account.stored, account.missing) == (0, 2)


def test_more_open_than_stored_makes_none_final() -> None:
    groups = [a_group(Condition.OPEN, 2)]

    (account,) = accounts_of([NOW], accepted={}, stored={NOW: 1}, groups=groups)

    assert account.final == 0


def test_what_was_not_found_out_counts_as_nothing_known() -> None:
    known = Position(
        accounts=(an_account(accepted=1), an_account(astray=1)),
        groups=(a_group(Condition.HELD, 2), a_group(Condition.OPEN, 1)),
        oldest_due=seconds(0),
    )
    unknown = Position(accounts=None, groups=None, oldest_due=None)

    assert (known.gap, known.count(Condition.HELD)) == (2, 2)
    assert (unknown.gap, unknown.count(Condition.HELD)) == (None, None)
