"""How a breaker finds out that its provider is back, on both boards."""

from datetime import timedelta

import pytest

from postroom.domain.ports import Report
from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    FAIL_MAX,
    FAILURE,
    LEASE,
    MOMENT,
    NEUTRAL,
    REFUSED_ACCOUNT,
    RESET,
    SLOW,
    SUCCESS,
    MovableClock,
    OperatedBoard,
    break_it,
    call,
    must_deny,
    must_permit,
    open_until_due,
    state,
)

# --- Waiting and probing


def test_open_breaker_denies_even_a_probe_before_its_time(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)
    clock.advance(RESET - MOMENT)

    assert must_deny(board).wait == MOMENT
    assert board.health("alpha").retry_at == clock.now() + MOMENT


def test_overdue_probe_has_its_time_in_the_past(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)
    clock.advance(RESET + MOMENT)

    health = board.health("alpha")

    assert health.state is BreakerState.OPEN
    assert health.retry_at == clock.now() - MOMENT


def test_due_breaker_lets_a_probe_pass_and_nobody_else(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)

    assert must_deny(board, probe=False).wait == LEASE
    assert must_permit(board, probe=True).is_probe
    assert must_deny(board).wait == LEASE
    assert state(board) is BreakerState.HALF_OPEN


def test_good_probe_closes_and_all_pass_at_once(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)

    closed = board.report(must_permit(board, probe=True), SUCCESS)

    assert closed is BreakerState.CLOSED
    assert not must_permit(board).is_probe
    assert board.health("alpha").retry_at is None


def test_slow_but_good_probe_closes(board: OperatedBoard, clock: MovableClock) -> None:
    """Else a provider that is only slow would carry one email per wait."""
    open_until_due(board, clock)

    assert board.report(must_permit(board, probe=True), SLOW) is BreakerState.CLOSED


def test_failures_from_before_the_opening_are_forgotten_when_it_closes(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)
    board.reset("alpha")

    call(board, FAILURE, times=FAIL_MAX - 1)

    assert state(board) is BreakerState.CLOSED


def test_wait_doubles_with_each_failed_probe_up_to_eight_times(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)

    waits = []
    for _ in range(6):
        waits.append(must_deny(board).wait)
        clock.advance(waits[-1])
        board.report(must_permit(board, probe=True), FAILURE)

    assert [wait / RESET for wait in waits] == [1, 2, 4, 8, 8, 8]


def test_wait_starts_again_from_the_first_after_a_good_probe(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    board.report(must_permit(board, probe=True), FAILURE)
    clock.advance(RESET * 3)
    board.report(must_permit(board, probe=True), SUCCESS)

    break_it(board)

    assert must_deny(board).wait == RESET


def test_refused_account_of_a_probe_is_a_failed_probe(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)

    board.report(must_permit(board, probe=True), REFUSED_ACCOUNT)

    assert must_deny(board).wait == 2 * RESET


def test_neutral_probe_frees_the_lease_for_the_next(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    first = must_permit(board, probe=True)

    assert board.report(first, NEUTRAL) is BreakerState.OPEN
    second = must_permit(board, probe=True)

    assert second.token != first.token
    assert board.report(first, SUCCESS) is BreakerState.HALF_OPEN
    assert board.report(second, SUCCESS) is BreakerState.CLOSED


def test_dead_probe_is_replaced_when_its_lease_has_ended(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    dead = must_permit(board, probe=True)
    clock.advance(LEASE - MOMENT)

    assert must_deny(board).wait == MOMENT
    clock.advance(MOMENT)
    second = must_permit(board, probe=True)

    assert board.report(dead, SUCCESS) is BreakerState.HALF_OPEN
    assert board.report(second, SUCCESS) is BreakerState.CLOSED


def test_late_probe_counts_if_nobody_took_its_place(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    late = must_permit(board, probe=True)
    clock.advance(LEASE * 2)

    assert board.report(late, SUCCESS) is BreakerState.CLOSED


def test_result_told_twice_counts_once(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    probe = must_permit(board, probe=True)

    board.report(probe, FAILURE)
    board.report(probe, FAILURE)

    assert must_deny(board).wait == 2 * RESET


# --- The elected email


def test_one_email_is_elected_and_stays_it(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)

    assert board.elect_probe("alpha", "a")
    assert not board.elect_probe("alpha", "b")
    assert board.elect_probe("alpha", "a")


def test_lost_email_is_replaced_after_the_wait_and_the_lease(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)
    board.elect_probe("alpha", "a")
    clock.advance(RESET + LEASE - MOMENT)

    assert not board.elect_probe("alpha", "b")
    clock.advance(MOMENT)

    assert board.elect_probe("alpha", "b")
    assert not board.elect_probe("alpha", "a")


@pytest.mark.parametrize("report", [FAILURE, NEUTRAL], ids=["failed", "neutral"])
def test_next_email_is_elected_after_a_probe_that_did_not_close(
    board: OperatedBoard, clock: MovableClock, report: Report
) -> None:
    open_until_due(board, clock)
    board.elect_probe("alpha", "a")
    board.report(must_permit(board, probe=True), report)

    assert board.elect_probe("alpha", "b")
    assert not board.elect_probe("alpha", "a")


def test_closed_breaker_elects_everybody_since_all_may_pass(
    board: OperatedBoard,
) -> None:
    assert board.elect_probe("alpha", "a")
    assert board.elect_probe("alpha", "b")


def test_paused_provider_elects_one_email_per_pause(
    board: OperatedBoard, clock: MovableClock
) -> None:
    board.pause("alpha", wait=timedelta(seconds=9))

    assert board.elect_probe("alpha", "a")
    board.pause("alpha", wait=timedelta(seconds=10))
    assert not board.elect_probe("alpha", "b")
    clock.advance(timedelta(seconds=10))
    board.pause("alpha", wait=timedelta(seconds=10))
    assert board.elect_probe("alpha", "b")


def test_drained_provider_elects_nobody(board: OperatedBoard) -> None:
    board.drain("alpha")

    assert not board.elect_probe("alpha", "a")


def test_one_release_of_all_is_let_go_per_period(
    board: OperatedBoard, clock: MovableClock
) -> None:
    every = timedelta(seconds=2)

    assert board.may_release("alpha", every=every)
    assert not board.may_release("alpha", every=every)
    assert board.may_release("beta", every=every)
    clock.advance(every)
    assert board.may_release("alpha", every=every)


@pytest.mark.parametrize("verb", ["reset", "resume"])
def test_operator_who_brings_a_provider_back_need_not_wait_for_the_release(
    board: OperatedBoard, verb: str
) -> None:
    board.may_release("alpha", every=timedelta(seconds=2))

    getattr(board, verb)("alpha")

    assert board.may_release("alpha", every=timedelta(seconds=2))
