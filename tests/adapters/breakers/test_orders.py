"""What providers and operators say, and what operators see, on both boards."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    FAILURE,
    MOMENT,
    REFUSED_ACCOUNT,
    RESET,
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

# --- Pauses, refused senders, operators


def test_pause_denies_everybody_until_it_ends(
    board: OperatedBoard, clock: MovableClock
) -> None:
    board.pause("alpha", wait=timedelta(seconds=7))

    assert must_deny(board, probe=False).wait == timedelta(seconds=7)
    assert must_deny(board, probe=True).wait == timedelta(seconds=7)
    health = board.health("alpha")
    assert health.state is BreakerState.CLOSED
    assert health.resume_at == clock.now() + timedelta(seconds=7)
    clock.advance(timedelta(seconds=7))
    must_permit(board)
    assert board.health("alpha").resume_at is None


def test_shorter_pause_does_not_shorten_a_longer_one(
    board: OperatedBoard, clock: MovableClock
) -> None:
    board.pause("alpha", wait=timedelta(seconds=60))
    board.pause("alpha", wait=timedelta(seconds=1))

    assert must_deny(board).wait == timedelta(seconds=60)


def test_pause_is_an_hour_at_most(board: OperatedBoard) -> None:
    board.pause("alpha", wait=timedelta(days=1))

    assert must_deny(board).wait == timedelta(hours=1)


def test_pause_of_an_open_breaker_holds_its_probe_back(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    board.pause("alpha", wait=timedelta(seconds=60))

    assert must_deny(board).wait == timedelta(seconds=60)


def test_refused_sender_is_remembered_for_ten_minutes(
    board: OperatedBoard, clock: MovableClock
) -> None:
    board.remember_refused_sender("alpha", "example.com")
    end = clock.now() + timedelta(minutes=10)

    assert board.health("alpha").refuses_from == {"example.com": end}
    assert board.health("beta").refuses_from == {}
    clock.advance(timedelta(minutes=9))
    assert board.health("alpha").refuses_from == {"example.com": end}
    clock.advance(timedelta(minutes=1))
    assert board.health("alpha").refuses_from == {}


def test_number_of_refused_senders_is_bounded(
    board: OperatedBoard, clock: MovableClock
) -> None:
    for number in range(1003):
        clock.advance(timedelta(milliseconds=1))
        board.remember_refused_sender("alpha", f"d{number}.example")
    clock.advance(MOMENT)

    refuses = board.health("alpha").refuses_from

    assert len(refuses) == 1000
    assert "d1002.example" in refuses
    assert "d0.example" not in refuses


def test_drained_provider_denies_everybody_until_resumed(board: OperatedBoard) -> None:
    board.drain("alpha")

    assert board.health("alpha").drained
    assert must_deny(board).wait == timedelta(minutes=15)
    board.resume("alpha")
    assert not board.health("alpha").drained
    must_permit(board)


def test_a_board_whose_redis_answers_is_shared(board: OperatedBoard) -> None:
    board.view("alpha")

    assert board.is_shared


def test_resume_ends_a_pause_too(board: OperatedBoard) -> None:
    board.pause("alpha", wait=timedelta(minutes=5))
    board.resume("alpha")

    must_permit(board)


def test_operator_opens_and_closes_at_once(
    board: OperatedBoard, clock: MovableClock
) -> None:
    assert board.trip("alpha")

    assert board.health("alpha").state is BreakerState.OPEN
    assert must_deny(board).wait == RESET
    board.elect_probe("alpha", "a")
    board.pause("alpha", wait=timedelta(minutes=5))
    board.reset("alpha")
    assert board.health("alpha").state is BreakerState.CLOSED
    must_permit(board)


def test_reset_in_the_middle_of_a_probe_makes_its_result_count_for_nothing(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    probe = must_permit(board, probe=True)
    board.reset("alpha")

    assert board.report(probe, REFUSED_ACCOUNT) is BreakerState.CLOSED


def test_reset_does_not_end_a_drain(board: OperatedBoard) -> None:
    board.drain("alpha")
    board.reset("alpha")

    assert board.health("alpha").drained


# --- What operators see


def test_view_counts_calls_and_their_rate(
    board: OperatedBoard, clock: MovableClock
) -> None:
    for _ in range(40):
        call(board, SUCCESS)
        clock.advance(timedelta(milliseconds=100))
    call(board, FAILURE)

    view = board.view("alpha")

    assert (view.calls, view.failures) == (41, 1)
    assert view.rate_per_s == pytest.approx(10, rel=0.05)


def test_rate_is_frozen_by_the_opening_and_kept_for_the_release(
    board: OperatedBoard, clock: MovableClock
) -> None:
    for _ in range(100):
        call(board, FAILURE if _ % 2 else SUCCESS, times=1)
        clock.advance(timedelta(milliseconds=50))
        if state(board) is BreakerState.OPEN:
            break
    frozen = board.view("alpha").rate_per_s
    clock.advance(timedelta(minutes=10))

    assert frozen > 5
    assert board.view("alpha").rate_per_s == frozen
    board.report(must_permit(board, probe=True), SUCCESS)
    call(board, SUCCESS, times=3)
    assert board.view("alpha").rate_per_s == frozen
    clock.advance(timedelta(minutes=10))
    assert board.view("alpha").rate_per_s == frozen
    clock.advance(timedelta(minutes=12))
    assert board.view("alpha").rate_per_s == 0


def test_clock_that_is_unsure_raises_nowhere(
    board: OperatedBoard, clock: MovableClock
) -> None:
    break_it(board)
    before = board.health("alpha").retry_at
    assert before is not None
    clock.unsure = True
    clock.advance(timedelta(seconds=10))

    after = board.health("alpha").retry_at

    assert after == before
    assert board.view("alpha").health.retry_at == before


def test_changes_are_logged_once_by_the_process_that_makes_them(
    board: OperatedBoard, clock: MovableClock
) -> None:
    with capture_logs() as logs:
        open_until_due(board, clock)
        board.report(must_permit(board, probe=True), SUCCESS)

    changes = [
        (entry["provider"], entry["old"], entry["new"])
        for entry in logs
        if entry["event"] == "breaker.changed"
    ]
    assert changes == [
        ("alpha", "closed", "open"),
        ("alpha", "open", "half_open"),
        ("alpha", "half_open", "closed"),
    ]


def test_clock_that_was_never_sure_raises_nowhere_either(
    board: OperatedBoard, clock: MovableClock
) -> None:
    clock.unsure = True
    break_it(board)

    assert board.health("alpha").retry_at is not None
