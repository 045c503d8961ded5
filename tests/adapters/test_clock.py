"""The clocks: whose time it is, and when nobody can say."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from postroom.adapters import clock as module
from postroom.adapters.clock import FakeClock, ServerClock, SystemClock
from postroom.domain.errors import ClockUnsureError
from tests.servers import a_mongodb

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Steady:
    """A steady clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 500.0

    def __call__(self) -> float:
        return self.seconds


class Source:
    """A server's clock: asking takes `trip`, and it may be away."""

    def __init__(self, steady: Steady, *, starts_at: datetime = NOON) -> None:
        self.steady = steady
        self.ahead = starts_at - timedelta(seconds=steady())
        self.trip = 0.0
        self.is_away = False
        self.asked = 0

    def __call__(self, client: MongoClient[Any]) -> datetime:
        self.asked += 1
        self.steady.seconds += self.trip / 2
        if self.is_away:
            raise PyMongoError("away")
        now = self.ahead + timedelta(seconds=self.steady())
        self.steady.seconds += self.trip / 2
        return now


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def source(steady: Steady) -> Source:
    return Source(steady)


@pytest.fixture
def nowhere() -> Iterator[MongoClient[Any]]:
    """Give a client that is never used."""
    with MongoClient[Any]("mongodb://127.0.0.1:1", connect=False) as client:
        yield client


@pytest.fixture
def server_clock(
    nowhere: MongoClient[Any], source: Source, steady: Steady
) -> Iterator[ServerClock]:
    clock = ServerClock(nowhere, ask=source, steady=steady)
    yield clock
    clock.close()


def test_it_tells_a_real_servers_time(
    mongo_client: MongoClient[dict[str, Any]],
) -> None:
    clock = ServerClock(mongo_client)

    now = clock.now()
    again = clock.now()
    clock.close()

    answer = mongo_client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
    assert now.tzinfo is UTC
    assert now <= again
    assert abs(answer - now) < timedelta(seconds=10)


@pytest.mark.parametrize("is_aware", [False, True])
def test_a_client_with_and_without_zones_tells_the_same(
    mongodb_uri: str, is_aware: bool
) -> None:
    with pymongo.MongoClient[Any](mongodb_uri, tz_aware=is_aware) as client:
        clock = ServerClock(client)
        now = clock.now()
        clock.close()

    assert abs(now - SystemClock().now()) < timedelta(minutes=10)


@pytest.mark.parametrize("ahead", [timedelta(seconds=120), timedelta(seconds=-120)])
def test_this_machines_own_date_does_not_count(
    mongo_client: MongoClient[Any], ahead: timedelta
) -> None:
    """The same as a machine that is two minutes off: the server's time is told."""
    clock = ServerClock(
        mongo_client, ask=lambda client: module.ask_server(client) + ahead
    )

    off = clock.now() - SystemClock().now()
    clock.close()

    assert abs(off - ahead) < timedelta(seconds=10)


def test_nothing_is_asked_before_the_first_now(
    server_clock: ServerClock, source: Source
) -> None:
    assert source.asked == 0

    server_clock.now()
    server_clock.now()

    assert source.asked == 1


def test_it_moves_on_with_the_steady_clock(
    server_clock: ServerClock, steady: Steady
) -> None:
    first = server_clock.now()
    steady.seconds += 42

    assert first == NOON
    assert server_clock.now() == NOON + timedelta(seconds=42)
    assert server_clock.monotonic() == 542


def test_the_time_is_that_of_the_middle_of_the_trip(
    server_clock: ServerClock, source: Source
) -> None:
    source.trip = 1.0

    now = server_clock.now()

    assert now == NOON + timedelta(seconds=1)


def test_a_slow_answer_is_not_believed(
    server_clock: ServerClock, source: Source
) -> None:
    source.trip = 2.5

    with pytest.raises(ClockUnsureError):
        server_clock.now()


def test_a_time_not_seen_for_five_minutes_is_not_told(
    server_clock: ServerClock, steady: Steady
) -> None:
    server_clock.now()

    steady.seconds += 300
    at_the_limit = server_clock.now()
    steady.seconds += 1
    with pytest.raises(ClockUnsureError):
        server_clock.now()

    assert at_the_limit == NOON + timedelta(seconds=300)


def test_a_refresh_makes_it_sure_again(
    server_clock: ServerClock, source: Source, steady: Steady
) -> None:
    server_clock.now()
    steady.seconds += 1000
    source.ahead += timedelta(seconds=120)

    server_clock.refresh()

    assert server_clock.now() == NOON + timedelta(seconds=1120)


def test_a_failed_refresh_leaves_what_was_known(
    server_clock: ServerClock, source: Source, steady: Steady
) -> None:
    server_clock.now()
    source.is_away = True
    steady.seconds += 60

    with pytest.raises(ClockUnsureError):
        server_clock.refresh()

    assert server_clock.now() == NOON + timedelta(seconds=60)


def test_a_server_that_is_away_at_first_is_not_asked_by_everybody(
    server_clock: ServerClock, source: Source, steady: Steady
) -> None:
    source.is_away = True
    for _ in range(3):
        with pytest.raises(ClockUnsureError):
            server_clock.now()
    asked_while_away = source.asked

    source.is_away = False
    steady.seconds += 1

    assert server_clock.now() == NOON + timedelta(seconds=1)
    assert asked_while_away == 1


def test_a_real_server_that_is_away_makes_it_unsure(tmp_path: Path) -> None:
    server = a_mongodb(tmp_path)
    client = MongoClient[Any](server.url)
    clock = ServerClock(client)
    started = time.monotonic()

    with pytest.raises(ClockUnsureError):
        clock.now()

    assert time.monotonic() - started < 20
    with server:
        clock.refresh()
        assert clock.now().tzinfo is UTC
        clock.close()
        client.close()  # the server waits for it, and it for the server


def await_true(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


def test_a_thread_keeps_measuring_and_gets_over_failures(
    server_clock: ServerClock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_EVERY", timedelta(milliseconds=5))
    monkeypatch.setattr(module, "REFRESH_AGAIN", timedelta(milliseconds=5))

    server_clock.now()
    source.is_away = True
    await_true(lambda: source.asked > 5)
    source.is_away = False
    source.ahead += timedelta(seconds=120)

    await_true(lambda: server_clock.now() == NOON + timedelta(seconds=120))


def test_a_process_has_one_thread_of_it(server_clock: ServerClock) -> None:
    def count() -> int:
        return sum(thread.name == "server-clock" for thread in threading.enumerate())

    before = count()
    server_clock.now()
    server_clock.now()

    assert count() <= before + 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_a_thread_of_its_own(
    server_clock: ServerClock, source: Source
) -> None:
    server_clock.now()
    child = os.fork()
    if child == 0:
        server_clock.now()
        names = {thread.name for thread in threading.enumerate()}
        os._exit(0 if "server-clock" in names and source.asked == 1 else 1)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_the_systems_clock_is_aware_and_steady() -> None:
    clock = SystemClock()

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_the_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(NOON)
    began = clock.monotonic()

    clock.advance(timedelta(seconds=5))

    assert clock.now() == NOON + timedelta(seconds=5)
    assert clock.monotonic() - began == 5
