"""Both boards, each with a clock that tests move."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from postroom.cli.errors import ServersMissingError
from tests.adapters.breakers.parts import (
    CLOCK_LUA,
    MovableClock,
    OperatedBoard,
    a_memory_board,
    a_redis_board,
    impatient_client,
)
from tests.servers import Server, a_redis, skip_or_fail


@pytest.fixture(params=["redis", "memory"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def clock(kind: str, request: pytest.FixtureRequest) -> MovableClock:
    if kind == "memory":
        return MovableClock()
    client: redis.Redis = request.getfixturevalue("redis_client")
    return MovableClock(client=client)


@pytest.fixture
def board(clock: MovableClock) -> OperatedBoard:
    if clock.client is None:
        return a_memory_board(clock=clock)
    return a_redis_board(clock.client, clock=clock, clock_lua=CLOCK_LUA)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a Redis of the test's own, to break."""
    try:
        server = a_redis(tmp_path)
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server


@pytest.fixture
def client(redis_client: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    with impatient_client(redis_url) as client:
        yield client
