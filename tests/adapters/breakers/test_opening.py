"""When a breaker opens, on both boards."""

from datetime import timedelta

from postroom.domain.ports import Report
from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    FAIL_MAX,
    FAILURE,
    NEUTRAL,
    REFUSED_ACCOUNT,
    SLOW,
    SUCCESS,
    WINDOW,
    MovableClock,
    OperatedBoard,
    break_it,
    call,
    must_deny,
    must_permit,
    open_until_due,
    state,
)


def test_new_breaker_is_closed_and_lets_anybody_pass(board: OperatedBoard) -> None:
    health = board.health("alpha")

    assert health.state is BreakerState.CLOSED
    assert health.retry_at is None
    assert not must_permit(board).is_probe
    assert not must_permit(board, probe=True).is_probe


def test_breaker_opens_at_the_last_failure_it_bears(board: OperatedBoard) -> None:
    call(board, FAILURE, times=FAIL_MAX - 1)

    assert state(board) is BreakerState.CLOSED
    assert board.report(must_permit(board), FAILURE) is BreakerState.OPEN
    assert board.health("alpha").state is BreakerState.OPEN
    must_deny(board, probe=False)


def test_breaker_opens_for_its_provider_only(board: OperatedBoard) -> None:
    break_it(board)

    assert board.health("beta").state is BreakerState.CLOSED
    must_permit(board, "beta")


def test_failures_that_are_less_than_half_of_the_calls_do_not_open(
    board: OperatedBoard,
) -> None:
    call(board, SUCCESS, times=11)
    call(board, FAILURE, times=10)

    assert state(board) is BreakerState.CLOSED
    assert board.report(must_permit(board), FAILURE) is BreakerState.OPEN


def test_failures_older_than_the_window_do_not_count(
    board: OperatedBoard, clock: MovableClock
) -> None:
    call(board, FAILURE, times=FAIL_MAX - 1)
    clock.advance(WINDOW)

    call(board, FAILURE)

    assert state(board) is BreakerState.CLOSED
    assert board.view("alpha").failures == 1


def test_neutral_results_count_for_nothing(board: OperatedBoard) -> None:
    call(board, NEUTRAL, times=3 * FAIL_MAX)
    call(board, FAILURE, times=FAIL_MAX - 1)
    call(board, NEUTRAL, times=3 * FAIL_MAX)

    assert board.view("alpha").calls == FAIL_MAX - 1
    assert board.report(must_permit(board), FAILURE) is BreakerState.OPEN


def test_slow_successes_open_it(board: OperatedBoard) -> None:
    call(board, SLOW, times=FAIL_MAX - 1)

    assert state(board) is BreakerState.CLOSED
    assert board.report(must_permit(board), SLOW) is BreakerState.OPEN


def test_slow_calls_that_are_less_than_half_do_not_open(board: OperatedBoard) -> None:
    call(board, SUCCESS, times=20)
    call(board, SLOW, times=FAIL_MAX)

    assert state(board) is BreakerState.CLOSED


def test_call_just_within_four_fifths_of_the_timeout_is_not_slow(
    board: OperatedBoard,
) -> None:
    call(board, Report(success=True, latency=timedelta(seconds=12)), times=20)

    assert state(board) is BreakerState.CLOSED


def test_failed_and_slow_call_is_one_bad_call(board: OperatedBoard) -> None:
    call(board, Report(success=False, latency=timedelta(seconds=15)), times=2)

    view = board.view("alpha")

    assert (view.calls, view.failures) == (2, 2)


def test_refused_account_opens_at_once(board: OperatedBoard) -> None:
    call(board, SUCCESS, times=100)

    assert board.report(must_permit(board), REFUSED_ACCOUNT) is BreakerState.OPEN


def test_refused_account_opens_even_if_said_with_a_neutral_result(
    board: OperatedBoard,
) -> None:
    report = Report(success=None, trip=True)

    assert board.report(must_permit(board), report) is BreakerState.OPEN


def test_results_of_calls_from_before_the_opening_count_for_nothing(
    board: OperatedBoard, clock: MovableClock
) -> None:
    late = [must_permit(board) for _ in range(20)]
    open_until_due(board, clock)

    for permit in late[:10]:
        assert board.report(permit, SUCCESS) is BreakerState.OPEN
    assert board.report(must_permit(board, probe=True), SUCCESS) is BreakerState.CLOSED
    for permit in late[10:]:
        assert board.report(permit, REFUSED_ACCOUNT) is BreakerState.CLOSED
    assert board.view("alpha").calls == 0
