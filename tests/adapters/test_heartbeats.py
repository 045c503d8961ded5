"""Heartbeats: what both implementations promise, and what only Redis can do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from postroom.adapters.clock import FakeClock
from postroom.adapters.heartbeats import (
    FORGET_AFTER_S,
    KEY,
    MemoryHeartbeats,
    RedisHeartbeats,
)
from postroom.adapters.redis_clients import beats_client
from postroom.adapters.settings import Settings
from postroom.domain.ports import Heartbeats
from tests.servers import a_redis


@dataclass(frozen=True)
class Case:
    heartbeats: Heartbeats
    let_pass: Callable[[timedelta], None]


@pytest.fixture(params=["memory", "redis"])
def case(request: pytest.FixtureRequest) -> Case:
    """Give an implementation and a way to make what it has seen older."""
    if request.param == "memory":
        clock = FakeClock()
        return Case(MemoryHeartbeats(clock), clock.advance)
    client: redis.Redis = request.getfixturevalue("redis_client")

    def let_pass(by: timedelta) -> None:
        for part, at in client.hgetall(KEY).items():
            client.hset(KEY, part, str(int(at) - int(by.total_seconds() * 1000)))

    return Case(RedisHeartbeats(client), let_pass)


def seconds(ages: Any) -> dict[str, int]:
    return {part: int(age.total_seconds()) for part, age in ages.items()}


def test_nobody_was_seen_at_first(case: Case) -> None:
    assert case.heartbeats.ages() == {}


def test_several_parts_may_be_told_at_once(case: Case) -> None:
    case.heartbeats.beat("worker", "send.alpha", "send.alpha.high")

    assert seconds(case.heartbeats.ages()) == {
        "worker": 0,
        "send.alpha": 0,
        "send.alpha.high": 0,
    }


def test_each_part_has_its_own_age(case: Case) -> None:
    case.heartbeats.beat("worker")
    case.let_pass(timedelta(seconds=100))
    case.heartbeats.beat("router")
    case.let_pass(timedelta(seconds=50))

    assert seconds(case.heartbeats.ages()) == {"worker": 150, "router": 50}


def test_the_last_sign_counts(case: Case) -> None:
    case.heartbeats.beat("sweep")
    case.let_pass(timedelta(seconds=100))
    case.heartbeats.beat("sweep")

    assert seconds(case.heartbeats.ages()) == {"sweep": 0}


def test_no_age_is_negative_when_redis_moves_its_clock_back(
    redis_client: redis.Redis,
) -> None:
    heartbeats = RedisHeartbeats(redis_client)
    heartbeats.beat("worker")
    redis_client.hset(KEY, "worker", 10**15)

    assert heartbeats.ages() == {"worker": timedelta(0)}


def test_they_are_forgotten_in_the_end(redis_client: redis.Redis) -> None:
    RedisHeartbeats(redis_client).beat("worker")

    assert 0 < redis_client.ttl(KEY) <= FORGET_AFTER_S


def test_a_client_that_decodes_sees_the_same(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        heartbeats = RedisHeartbeats(client)
        heartbeats.beat("worker")

        assert seconds(heartbeats.ages()) == {"worker": 0}


def test_redis_away_raises_nothing_and_they_come_back_with_it(tmp_path: Path) -> None:
    server = a_redis(tmp_path)
    settings = Settings.from_env({"REDIS_URL": server.url})
    with beats_client(settings) as client:
        heartbeats = RedisHeartbeats(client)

        heartbeats.beat("worker")
        away = heartbeats.ages()
        with server:
            heartbeats.beat("worker")
            back = heartbeats.ages()

    assert away is None
    assert seconds(back) == {"worker": 0}


def test_a_key_of_another_type_raises_nothing(redis_client: redis.Redis) -> None:
    redis_client.set(KEY, "not a hash")
    heartbeats = RedisHeartbeats(redis_client)

    heartbeats.beat("worker")

    assert heartbeats.ages() is None


def test_flushed_scripts_are_loaded_again(redis_client: redis.Redis) -> None:
    heartbeats = RedisHeartbeats(redis_client)
    heartbeats.beat("worker")
    redis_client.script_flush()

    heartbeats.beat("worker")

    assert seconds(heartbeats.ages()) == {"worker": 0}
