"""The window rule, against a plain log of calls and against the Lua scripts."""

import math
from datetime import timedelta
from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.adapters.breaker_latency import (
    BOUNDS_MS,
    CLASSES,
    class_of,
    percentile_ms,
)
from postroom.adapters.breaker_window import BUCKETS, Counts, Window
from postroom.domain.ports import Permit, Report
from postroom.domain.routing import BreakerState
from tests.adapters.breakers.parts import (
    CLOCK_LUA,
    MovableClock,
    OperatedBoard,
    a_memory_board,
    a_redis_board,
)

LENGTH_MS = 60_000

calls = st.lists(
    st.tuples(st.integers(0, 20_000), st.booleans(), st.booleans()), max_size=60
)


def filled(log: list[tuple[int, bool, bool]]) -> tuple[Window, list[int], int]:
    window, times, now = Window(LENGTH_MS), [], 1_800_000_000_000
    for pause_ms, failed, slow in log:
        now += pause_ms
        window.count(now, failed=failed, slow=slow)
        times.append(now)
    return window, times, now


@given(calls, st.integers(0, 100_000))
def test_window_counts_what_is_young_and_nothing_that_is_too_old(
    log: list[tuple[int, bool, bool]], later_ms: int
) -> None:
    window, times, now = filled(log)
    now += later_ms

    counted = window.counts(now).calls

    young = LENGTH_MS * (BUCKETS - 1) // BUCKETS
    assert sum(now - time <= young for time in times) <= counted
    assert counted <= sum(now - time < LENGTH_MS for time in times)


@given(calls)
def test_bad_calls_are_counted_once_each(log: list[tuple[int, bool, bool]]) -> None:
    window, _, now = filled(log)

    counts = window.counts(now)

    assert max(counts.failed, counts.slow) <= counts.failures <= counts.calls
    assert counts.both <= min(counts.failed, counts.slow)


@given(
    st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(1, 20)
)
def test_sick_is_enough_bad_calls_that_are_half_of_all(
    calls: int, failed: int, slow: int, fail_max: int
) -> None:
    counts = Counts(first_ms=0, calls=calls, failed=failed, slow=slow)

    by_failures = failed >= fail_max and failed >= calls / 2
    by_slowness = slow >= fail_max and slow >= calls / 2
    assert counts.is_sick(fail_max) == (by_failures or by_slowness)


def test_cleared_window_is_empty() -> None:
    window, _, now = filled([(0, True, True)] * 3)

    window.clear()

    assert window.counts(now) == Counts(first_ms=now)


# --- The rule in Lua and the rule in Python are one rule

reports = st.builds(
    Report,
    success=st.sampled_from([True, False, False, None]),
    trip=st.sampled_from([False] * 9 + [True]),
    latency=st.sampled_from(
        [timedelta(seconds=s) for s in (0, 0.04, 0.3, 1, 1.001, 14, 40)]
    ),
)
steps = st.one_of(
    st.tuples(st.just("permit"), st.booleans()),
    st.tuples(st.just("report"), st.integers(0, 50), reports),
    st.tuples(st.just("call"), reports),
    st.tuples(st.just("advance"), st.integers(1, 40_000_000)),
    st.tuples(st.just("elect"), st.sampled_from("abc")),
    st.tuples(st.just("release"), st.integers(500, 5000)),
    st.tuples(st.just("pause"), st.integers(0, 5_000_000)),
    st.tuples(st.just("refuse"), st.sampled_from(["a.example", "b.example"])),
    st.tuples(st.just("order"), st.sampled_from(["trip", "reset", "drain", "resume"])),
)


class Driven:
    """A board and the permits it gave, told one step after the other."""

    def __init__(self, board: OperatedBoard) -> None:
        self.board = board
        self.permits: list[Permit] = []

    def step(self, word: str, *args: Any) -> object:
        match word:
            case "permit":
                return self.permit(probe=args[0])
            case "report" if self.permits:
                return self.report(self.permits[args[0] % len(self.permits)], args[1])
            case "call":
                told = self.permit(probe=True)
                return told, self.report(self.permits[-1], args[0]) if told[0] else None
            case "elect":
                return self.board.elect_probe("alpha", args[0])
            case "release":
                every = timedelta(milliseconds=args[0])
                return self.board.may_release("alpha", every=every)
            case "pause":
                self.board.pause("alpha", wait=timedelta(milliseconds=args[0]))
            case "refuse":
                self.board.remember_refused_sender("alpha", args[0])
            case "order":
                getattr(self.board, args[0])("alpha")
        return None

    def permit(self, *, probe: bool) -> tuple[bool, object]:
        answer = self.board.permit("alpha", probe=probe)
        if isinstance(answer, Permit):
            self.permits.append(answer)
            return True, (answer.is_probe, answer.epoch)
        return False, answer.wait

    def report(self, permit: Permit, report: Report) -> BreakerState:
        return self.board.report(permit, report)


@given(st.lists(steps, max_size=40))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_both_boards_say_the_same_after_any_history(
    redis_client: redis.Redis, history: list[tuple[Any, ...]]
) -> None:
    redis_client.flushdb()
    clock = MovableClock(client=redis_client)
    real = Driven(a_redis_board(redis_client, clock=clock, clock_lua=CLOCK_LUA))
    twin = Driven(a_memory_board(clock=clock))

    for step in history:
        if step[0] == "advance":
            clock.advance(timedelta(microseconds=step[1]))
        else:
            assert real.step(*step) == twin.step(*step), step
        assert real.board.view("alpha") == twin.board.view("alpha"), step
        assert real.board.health("alpha") == twin.board.health("alpha"), step


# --- Latencies

latencies = st.lists(st.integers(0, 40_000), min_size=1, max_size=100)


def counted(values_ms: list[int]) -> list[int]:
    counts = [0] * CLASSES
    for value in values_ms:
        counts[class_of(timedelta(milliseconds=value))] += 1
    return counts


@given(latencies, st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_right_to_within_a_class(
    values_ms: list[int], part: float
) -> None:
    exact = sorted(values_ms)[math.ceil(part * len(values_ms)) - 1]

    told = percentile_ms(counted(values_ms), part)

    assert told is not None
    place = class_of(timedelta(milliseconds=exact))
    bounds = [0, *BOUNDS_MS, BOUNDS_MS[-1]]
    assert bounds[place] <= told <= bounds[place + 1]


def test_no_calls_have_no_percentile() -> None:
    assert percentile_ms([0] * CLASSES, 0.5) is None
    assert percentile_ms([], 0.5) is None


def test_a_bucket_of_a_release_before_counts_without_latencies(
    redis_client: redis.Redis,
) -> None:
    clock = MovableClock(client=redis_client)
    board = a_redis_board(redis_client, clock=clock, clock_lua=CLOCK_LUA)
    permit = board.permit("alpha", probe=False)
    assert isinstance(permit, Permit)
    call = Report(success=True, latency=timedelta(milliseconds=200))
    board.report(permit, call)
    (slot,) = [
        key
        for key in redis_client.hkeys("postroom:breaker:alpha")
        if key.startswith(b"w")
    ]
    old = redis_client.hget("postroom:breaker:alpha", slot).split(b":")[:6]
    redis_client.hset("postroom:breaker:alpha", slot, b":".join(old))

    before = board.view("alpha")
    board.report(permit, call)

    assert (before.calls, before.p50_ms) == (1, None)
    after = board.view("alpha")
    assert (after.calls, after.p50_ms, after.p95_ms) == (2, 175, 242)
