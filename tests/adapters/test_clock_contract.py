"""One contract for the clocks: the server's, this machine's, and the twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from time import sleep
from typing import Any

import pytest
from pymongo import MongoClient

from postroom.adapters.clock import FakeClock, ServerClock, SystemClock
from postroom.domain.ports import Clock
from tests.adapters.breakers.parts import at_once

THREADS = 8

#: The server's time may step back by this at a new measurement.
TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class Stand:
    """A clock, and how a moment passes on it."""

    clock: Clock
    let_pass: Callable[[], None]


@pytest.fixture(params=["fake", "system", "server"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    if request.param == "fake":
        fake = FakeClock()
        yield Stand(fake, lambda: fake.advance(timedelta(milliseconds=20)))
        return
    if request.param == "system":
        yield Stand(SystemClock(), lambda: sleep(0.02))
        return
    client: MongoClient[Any] = request.getfixturevalue("mongo_client")
    server = ServerClock(client)
    yield Stand(server, lambda: sleep(0.02))
    server.close()


def test_the_time_is_aware_and_in_utc(stand: Stand) -> None:
    assert stand.clock.now().tzinfo is UTC


def test_both_times_move_on_together(stand: Stand) -> None:
    now, steady = stand.clock.now(), stand.clock.monotonic()

    stand.let_pass()

    passed = timedelta(seconds=stand.clock.monotonic() - steady)
    assert passed >= timedelta(milliseconds=19)
    assert abs(stand.clock.now() - now - passed) < TOLERANCE


def test_the_steady_time_never_steps_back_for_any_thread(stand: Stand) -> None:
    def read() -> list[float]:
        return [stand.clock.monotonic() for _ in range(100)]

    for seen in at_once(*[read] * THREADS):
        assert seen == sorted(seen)


def test_all_threads_are_told_the_same_time(stand: Stand) -> None:
    told = at_once(*[stand.clock.now] * THREADS)

    assert max(told) - min(told) < TOLERANCE + timedelta(seconds=5)


def test_no_move_of_the_twin_is_lost_that_threads_make_at_once() -> None:
    clock = FakeClock()
    now, steady = clock.now(), clock.monotonic()

    def move() -> None:
        for _ in range(500):
            clock.advance(timedelta(seconds=1))

    at_once(*[move] * THREADS)

    assert clock.now() - now == timedelta(seconds=500 * THREADS)
    assert clock.monotonic() - steady == 500 * THREADS
