"""The board while Redis fails under it."""

import time
from datetime import timedelta

import redis
from structlog.testing import capture_logs

from postroom.adapters.breaker_board import RedisBreakerBoard
from postroom.cli.embedded import free_port
from postroom.domain.ports import Denied
from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    CLOCK_KEY,
    CLOCK_LUA,
    FAIL_MAX,
    FAILURE,
    MOMENT,
    RESET,
    SUCCESS,
    MovableClock,
    a_redis_board,
    at_once,
    break_it,
    call,
    impatient_client,
    must_deny,
    must_permit,
)
from tests.servers import Server

KEY = "postroom:breaker:alpha"
AWAY = timedelta(seconds=5)

#: A bound that only a hang reaches.
PATIENCE_S = 30.0


def test_board_is_made_and_used_with_no_redis_at_all() -> None:
    client = impatient_client(f"redis://127.0.0.1:{free_port()}/0")
    board = a_redis_board(client)

    must_permit(board)
    board.pause("beta", wait=timedelta(seconds=5))
    board.remember_refused_sender("beta", "example.com")
    break_it(board)

    assert must_deny(board).wait > timedelta(0)
    assert board.elect_probe("alpha", "a")
    assert not board.elect_probe("alpha", "b")
    assert board.may_release("alpha", every=timedelta(seconds=9))
    assert board.view("alpha").health.state is BreakerState.OPEN
    assert set(board.health("beta").refuses_from) == {"example.com"}
    assert not board.reset("alpha"), "an order that nobody else hears says so"
    assert not board.is_shared
    assert board.health("alpha").state is BreakerState.CLOSED


def away_and_back(server: Server, clock: MovableClock) -> RedisBreakerBoard:
    """Make a board that saw alpha open and beta paused and drained."""
    board = a_redis_board(impatient_client(server.url), clock=clock)
    break_it(board)
    board.pause("beta", wait=timedelta(seconds=60))
    board.drain("beta")
    board.remember_refused_sender("beta", "example.com")
    board.health("alpha")
    return board


def test_killed_redis_leaves_each_process_with_what_it_saw(server: Server) -> None:
    clock = MovableClock()
    board = away_and_back(server, clock)

    server.kill9()
    with capture_logs() as logs:
        denied = must_deny(board)
        health = board.health("beta")

    assert timedelta(0) < denied.wait <= RESET * 1.1
    assert health.drained
    assert health.resume_at is not None
    assert set(health.refuses_from) == {"example.com"}
    events = [log["event"] for log in logs]
    assert events.count("breaker.redis_away") == 1


def test_process_probes_by_itself_while_redis_is_away(server: Server) -> None:
    clock = MovableClock()
    board = away_and_back(server, clock)
    server.kill9()
    must_deny(board)

    clock.advance(RESET * 1.1)
    probe = must_permit(board, probe=True)

    assert probe.is_probe
    assert isinstance(board.permit("alpha", probe=True), Denied)
    assert board.report(probe, SUCCESS) is BreakerState.CLOSED
    must_permit(board)


def test_results_of_calls_in_hand_count_when_redis_goes_away(server: Server) -> None:
    board = a_redis_board(impatient_client(server.url), clock=MovableClock())
    permits = [must_permit(board) for _ in range(5)]
    server.kill9()

    states = [board.report(permit, FAILURE) for permit in permits]

    assert states[-1] is BreakerState.OPEN


def test_shared_state_counts_again_when_redis_is_back(server: Server) -> None:
    clock = MovableClock()
    board = away_and_back(server, clock)
    server.kill9()
    must_deny(board)
    board.reset("alpha")
    must_permit(board)
    server.start()

    must_permit(board)  # Redis is left alone for five seconds
    clock.advance(AWAY)
    with capture_logs() as logs:
        must_deny(board)

    assert "breaker.redis_back" in [log["event"] for log in logs]
    other = a_redis_board(impatient_client(server.url))
    other.reset("alpha")
    must_permit(board)


def test_restarted_redis_is_used_again_with_no_call_lost(server: Server) -> None:
    """A pooled connection that died meanwhile is no sign that Redis is away."""
    board = a_redis_board(impatient_client(server.url), clock=MovableClock())
    call(board, SUCCESS, times=3)
    server.restart()

    with capture_logs() as logs:
        call(board, SUCCESS, times=3)

    assert logs == []
    assert board.view("alpha").calls == 6


def test_hanging_redis_holds_up_each_thread_once_and_then_nobody(
    server: Server,
) -> None:
    board = away_and_back(server, MovableClock())
    server.pause()
    started = time.monotonic()

    with capture_logs() as logs:
        at_once(*[lambda: must_deny(board)] * 16)
        for _ in range(1000):
            must_deny(board)
            board.view("alpha")

    server.resume()
    assert [log["event"] for log in logs] == ["breaker.redis_away"]
    assert time.monotonic() - started < PATIENCE_S


def test_one_call_in_five_seconds_finds_out_whether_redis_is_back(
    server: Server,
) -> None:
    clock = MovableClock()
    board = away_and_back(server, clock)
    server.pause()
    must_deny(board)
    started = time.monotonic()

    for _ in range(5):
        clock.advance(AWAY)
        at_once(*[lambda: board.permit("alpha", probe=False)] * 16)

    server.resume()
    assert time.monotonic() - started < PATIENCE_S
    clock.advance(AWAY)
    assert board.view("alpha").health.state is BreakerState.OPEN


def test_flushed_redis_costs_a_few_failures_and_nothing_else(
    client: redis.Redis,
) -> None:
    board = a_redis_board(client, clock=MovableClock())
    late = must_permit(board)
    break_it(board)
    client.flushall()
    client.script_flush()

    with capture_logs() as logs:
        must_permit(board)
        assert board.report(late, FAILURE) is BreakerState.CLOSED
        call(board, FAILURE, times=FAIL_MAX - 1)

    assert board.view("alpha").health.state is BreakerState.OPEN
    assert "breaker.redis_away" not in [log["event"] for log in logs]


def test_epoch_from_before_a_flush_is_never_used_again(client: redis.Redis) -> None:
    clock = MovableClock(client=client)
    board = a_redis_board(client, clock=clock, clock_lua=CLOCK_LUA)
    board.reset("alpha")
    late = must_permit(board)
    client.flushall()
    clock.advance(MOMENT)
    board.reset("alpha")

    board.report(late, FAILURE)

    assert board.view("alpha").calls == 0


def test_redis_clock_set_back_keeps_nobody_out_for_long(client: redis.Redis) -> None:
    clock = MovableClock(client=client)
    board = a_redis_board(client, clock=clock, clock_lua=CLOCK_LUA)
    break_it(board)
    board.pause("alpha", wait=timedelta(minutes=1))

    client.set(CLOCK_KEY, clock.now_us - 86_400_000_000)
    clock.now_us += 1_000_000  # ours has gone on

    assert board.permit("alpha", probe=True) == Denied(
        provider="alpha", wait=timedelta(hours=1)
    )
    board.resume("alpha")
    assert must_deny(board).wait == 8 * RESET
