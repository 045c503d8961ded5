"""What the breaker tests share: boards, movable clocks, threads and processes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from postroom.adapters.breaker_board import RedisBreakerBoard
from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.domain.errors import ClockUnsureError
from postroom.domain.inspection import BreakerPanel
from postroom.domain.ports import BreakerBoard, Denied, Permit, Report
from postroom.domain.routing import BreakerState

T = TypeVar("T")

NAMES = ("alpha", "beta")
FAIL_MAX = 5
#: Longer than a snapshot lives.
MOMENT = timedelta(milliseconds=300)
RESET = timedelta(seconds=30)
WINDOW = timedelta(seconds=60)
TIMEOUT = timedelta(seconds=15)
LEASE = timedelta(seconds=25)

SUCCESS = Report(success=True)
FAILURE = Report(success=False)
NEUTRAL = Report(success=None)
REFUSED_ACCOUNT = Report(success=False, trip=True)
SLOW = Report(success=True, latency=timedelta(seconds=13))

CLOCK_KEY = "postroom:test:now_us"
#: In the place of breaker_clock.lua: a clock that only the test moves.
CLOCK_LUA = f"local now_us = tonumber(redis.call('GET', '{CLOCK_KEY}'))\n"


class OperatedBoard(BreakerBoard, BreakerPanel, Protocol):
    """The port of the processes and that of the operators: both boards have both."""


@dataclass
class MovableClock:
    """Both sides of the clock port, moved together, and Redis's with them."""

    client: redis.Redis | None = None
    now_us: int = 1_800_000_000_000_000
    unsure: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._tell_redis()

    def now(self) -> datetime:
        if self.unsure:
            raise ClockUnsureError
        return datetime.fromtimestamp(self.now_us / 1_000_000, UTC)

    def monotonic(self) -> float:
        return self.now_us / 1_000_000

    def advance(self, duration: timedelta) -> None:
        with self._lock:
            self.now_us += duration // timedelta(microseconds=1)
            self._tell_redis()

    def _tell_redis(self) -> None:
        if self.client is not None:
            self.client.set(CLOCK_KEY, self.now_us)


class RealClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def impatient_client(url: str) -> redis.Redis:
    """Make a client as the board's caller should."""
    return redis.Redis.from_url(
        url,
        socket_timeout=0.2,
        socket_connect_timeout=0.2,
        retry=Retry(NoBackoff(), 0),
    )


def a_redis_board(client: redis.Redis, **changes: Any) -> RedisBreakerBoard:
    options: dict[str, Any] = {
        "fail_max": FAIL_MAX,
        "reset": RESET,
        "window": WINDOW,
        "timeout": TIMEOUT,
        "clock": RealClock(),
    }
    return RedisBreakerBoard(client, NAMES, **(options | changes))


def a_memory_board(**changes: Any) -> MemoryBreakerBoard:
    options: dict[str, Any] = {
        "fail_max": FAIL_MAX,
        "reset": RESET,
        "window": WINDOW,
        "timeout": TIMEOUT,
        "clock": RealClock(),
    }
    return MemoryBreakerBoard(NAMES, **(options | changes))


def must_permit(
    board: BreakerBoard, provider: str = "alpha", *, probe: bool = False
) -> Permit:
    permit = board.permit(provider, probe=probe)
    assert isinstance(permit, Permit), permit
    return permit


def must_deny(
    board: BreakerBoard, provider: str = "alpha", *, probe: bool = True
) -> Denied:
    denied = board.permit(provider, probe=probe)
    assert isinstance(denied, Denied), denied
    return denied


def call(board: BreakerBoard, report: Report, *, times: int = 1) -> None:
    """Make calls to alpha, one after the other, that all end like this."""
    for _ in range(times):
        board.report(must_permit(board), report)


def break_it(board: BreakerBoard) -> None:
    call(board, FAILURE, times=FAIL_MAX)


def state(board: OperatedBoard) -> BreakerState:
    return board.view("alpha").health.state


def open_until_due(board: OperatedBoard, clock: MovableClock) -> None:
    break_it(board)
    clock.advance(RESET * 1.1)


def at_once(*functions: Callable[[], T]) -> list[T]:
    """Run functions from threads of their own, all at the same moment."""
    barrier = threading.Barrier(len(functions))
    results: list[T] = []
    faults: list[BaseException] = []

    def run(function: Callable[[], T]) -> None:
        barrier.wait(30)
        try:
            results.append(function())
        except BaseException as ex:
            faults.append(ex)
            raise

    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    return results


def probe_from_threads(
    url: str, threads: int, hold_s: float, options: dict[str, Any]
) -> int:
    """Ask for the probe from many threads at once; return how many got it.

    Runs in a process of its own, too. Those that get it fail after ``hold_s``.
    """
    board = a_redis_board(impatient_client(url), **options)

    def one() -> int:
        permit = board.permit("alpha", probe=True)
        if isinstance(permit, Denied):
            return 0
        time.sleep(hold_s)
        board.report(permit, FAILURE)
        return 1

    return sum(at_once(*[one] * threads))
