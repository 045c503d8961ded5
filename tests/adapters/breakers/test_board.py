"""The board on a real Redis: processes, trips, and Redis failing under it."""

import multiprocessing
import os
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

import redis
from structlog.testing import capture_logs

from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    CLOCK_LUA,
    LEASE,
    MOMENT,
    NEUTRAL,
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
    probe_from_threads,
)

KEY = "postroom:breaker:alpha"
AWAY = timedelta(seconds=5)

#: A bound that only a hang reaches.
PATIENCE_S = 30.0


def trips(client: redis.Redis) -> int:
    """Return how many scripts were run since the last time this was asked."""
    stats: dict[str, Any] = client.info("commandstats")
    client.config_resetstat()
    names = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_script|load")
    return sum(stats[name]["calls"] for name in names if name in stats)


# --- Processes


def ask_in_rounds(url: str, rounds: int, gate: Barrier, won: Any) -> None:
    for _ in range(rounds):
        gate.wait(60)
        won.put(probe_from_threads(url, 8, 0.1, {}))
        gate.wait(60)


def test_four_processes_of_eight_threads_make_one_probe(
    redis_url: str, client: redis.Redis
) -> None:
    break_it(a_redis_board(client))
    spawn = multiprocessing.get_context("spawn")
    rounds, gate, won = 3, spawn.Barrier(5), spawn.Queue()
    args = (redis_url, rounds, gate, won)
    children = [spawn.Process(target=ask_in_rounds, args=args) for _ in range(4)]
    for child in children:
        child.start()

    counts = []
    for _ in range(rounds):
        client.hset(KEY, "ends", 0)  # its time has come
        gate.wait(60)
        counts.append(sum(won.get(timeout=60) for _ in children))
        gate.wait(60)
    for child in children:
        child.join(60)

    assert counts == [1] * rounds


def die_as_probe(url: str) -> None:
    clock = MovableClock()
    board = a_redis_board(impatient_client(url), clock=clock, clock_lua=CLOCK_LUA)
    os._exit(7 if must_permit(board, probe=True).is_probe else 1)


def test_probe_of_a_dead_process_is_replaced_after_its_lease(
    redis_url: str, client: redis.Redis
) -> None:
    clock = MovableClock(client=client)
    board = a_redis_board(client, clock=clock, clock_lua=CLOCK_LUA)
    break_it(board)
    clock.advance(RESET)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=die_as_probe, args=(redis_url,))
    child.start()
    child.join(60)

    assert child.exitcode == 7
    assert must_deny(board).wait == LEASE
    clock.advance(LEASE)
    assert must_permit(board, probe=True).is_probe


def test_opening_is_seen_by_other_processes_within_a_snapshots_life(
    client: redis.Redis,
) -> None:
    clock = MovableClock(client=client)
    one = a_redis_board(client, clock=clock, clock_lua=CLOCK_LUA)
    other = a_redis_board(client, clock=clock, clock_lua=CLOCK_LUA)
    must_permit(other)
    break_it(one)

    must_deny(one, probe=False)
    must_permit(other)
    clock.advance(MOMENT)
    with capture_logs() as logs:
        must_deny(other, probe=False)
        assert other.health("alpha").state is BreakerState.OPEN

    assert [log["new"] for log in logs if log["event"] == "breaker.changed"] == ["open"]


def test_breakers_closed_by_another_process_let_pass_at_once(
    client: redis.Redis,
) -> None:
    one, other = a_redis_board(client), a_redis_board(client)
    break_it(one)
    must_deny(other)
    one.reset("alpha")

    must_permit(other)


def test_times_come_from_redis_and_from_no_process(client: redis.Redis) -> None:
    """With the real scripts: the wait is that of the clock that all share."""
    wrong = MovableClock(now_us=1_000_000_000_000_000)
    board = a_redis_board(client, clock=wrong)
    break_it(board)

    health = board.health("alpha")

    assert health.retry_at is not None
    wait = health.retry_at - wrong.now()
    assert RESET - timedelta(seconds=PATIENCE_S) < wait <= RESET * 1.1


# --- Trips


def test_healthy_call_costs_one_trip(client: redis.Redis) -> None:
    clock = MovableClock()  # so that no snapshot grows old in between
    board = a_redis_board(client, clock=clock)
    call(board, SUCCESS)
    trips(client)

    call(board, SUCCESS, times=50)

    assert trips(client) == 50


def test_permit_costs_one_trip_when_it_is_denied_or_its_snapshot_is_old(
    client: redis.Redis,
) -> None:
    clock = MovableClock()
    board = a_redis_board(client, clock=clock)
    must_permit(board)
    trips(client)

    clock.advance(MOMENT)
    must_permit(board)
    assert trips(client) == 1
    board.trip("alpha")
    trips(client)
    must_deny(board)
    assert trips(client) == 1


def test_neutral_result_costs_no_trip(client: redis.Redis) -> None:
    board = a_redis_board(client, clock=MovableClock())
    permit = must_permit(board)
    trips(client)

    board.report(permit, NEUTRAL)

    assert trips(client) == 0


def test_health_of_all_costs_one_trip_per_250_ms(client: redis.Redis) -> None:
    clock = MovableClock()
    board = a_redis_board(client, clock=clock)
    board.health("alpha")
    trips(client)

    for _ in range(4):
        clock.advance(MOMENT)
        for _ in range(20):
            board.health("alpha")
            board.health("beta")

    assert trips(client) == 4


def test_one_of_many_threads_renews_an_old_snapshot(client: redis.Redis) -> None:
    clock = MovableClock()
    board = a_redis_board(client, clock=clock)
    board.health("alpha")
    must_permit(board)
    trips(client)

    clock.advance(MOMENT)
    at_once(*[lambda: board.health("alpha")] * 16)
    assert trips(client) == 1
    clock.advance(MOMENT)
    at_once(*[lambda: board.permit("alpha", probe=False)] * 16)
    assert trips(client) == 1


def test_few_keys_and_no_more_with_more_calls(client: redis.Redis) -> None:
    board = a_redis_board(client)
    call(board, SUCCESS, times=20)
    board.remember_refused_sender("alpha", "example.com")
    board.elect_probe("alpha", "abc")

    assert set(client.scan_iter("*")) == {KEY.encode(), f"{KEY}:refused".encode()}
