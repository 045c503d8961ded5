"""Every operation from several threads at a barrier, on both boards."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from postroom.domain.ports import Denied, Permit
from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    FAILURE,
    RESET,
    SUCCESS,
    MovableClock,
    OperatedBoard,
    at_once,
    break_it,
    call,
    must_deny,
    must_permit,
    open_until_due,
)


def test_failures_from_many_threads_are_all_counted(board: OperatedBoard) -> None:
    call(board, SUCCESS, times=100)

    at_once(*[lambda: call(board, FAILURE, times=10)] * 4)

    view = board.view("alpha")
    assert (view.calls, view.failures) == (140, 40)


def test_one_of_two_threads_gets_the_probe(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)

    permits = at_once(*[lambda: board.permit("alpha", probe=True)] * 2)

    assert sorted(type(permit).__name__ for permit in permits) == ["Denied", "Permit"]


def test_one_of_two_emails_is_elected(board: OperatedBoard) -> None:
    break_it(board)

    won = at_once(
        lambda: board.elect_probe("alpha", "a"), lambda: board.elect_probe("alpha", "b")
    )

    assert sorted(won) == [False, True]


def test_one_of_two_releases_at_once_is_let_go(board: OperatedBoard) -> None:
    every = timedelta(seconds=2)

    won = at_once(*[lambda: board.may_release("alpha", every=every)] * 2)

    assert sorted(won) == [False, True]


def test_longer_of_two_pauses_at_once_holds(board: OperatedBoard) -> None:
    at_once(
        lambda: board.pause("alpha", wait=timedelta(seconds=5)),
        lambda: board.pause("alpha", wait=timedelta(seconds=50)),
    )

    assert must_deny(board).wait == timedelta(seconds=50)


def test_two_senders_refused_at_once_are_both_remembered(board: OperatedBoard) -> None:
    at_once(
        lambda: board.remember_refused_sender("alpha", "a.example"),
        lambda: board.remember_refused_sender("alpha", "b.example"),
    )

    assert set(board.health("alpha").refuses_from) == {"a.example", "b.example"}


def test_probe_told_twice_at_once_is_one_failed_probe(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)
    probe = must_permit(board, probe=True)

    states = at_once(*[lambda: board.report(probe, FAILURE)] * 2)

    assert states == [BreakerState.OPEN, BreakerState.OPEN]
    assert must_deny(board).wait == 2 * RESET


@pytest.mark.parametrize("verb", ["trip", "reset", "drain", "resume"])
def test_operators_may_say_the_same_at_once(board: OperatedBoard, verb: str) -> None:
    say: Callable[[str], bool] = getattr(board, verb)

    at_once(lambda: say("alpha"), lambda: say("alpha"))

    health = board.health("alpha")
    assert (health.state is BreakerState.OPEN) == (verb == "trip")
    assert health.drained == (verb == "drain")


def test_reading_from_many_threads_at_once_gives_all_the_same(
    board: OperatedBoard,
) -> None:
    break_it(board)

    states = at_once(
        *[lambda: board.health("alpha").state] * 8,
        *[lambda: board.view("alpha").health.state] * 8,
    )

    assert set(states) == {BreakerState.OPEN}


def test_permits_are_tokens_only_for_probes(
    board: OperatedBoard, clock: MovableClock
) -> None:
    open_until_due(board, clock)

    permit = board.permit("alpha", probe=True)

    assert isinstance(permit, Permit)
    assert re.fullmatch("[0-9a-f]{32}", permit.token)
    assert isinstance(board.permit("alpha", probe=True), Denied)
