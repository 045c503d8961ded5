"""Token buckets: in Redis, and in one process."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from postroom.adapters.clock import FakeClock
from postroom.adapters.rate_limit import (
    AWAY_S,
    MOST_BUCKETS,
    LocalRateLimit,
    RedisRateLimit,
)
from postroom.domain.access import HIGHEST_RATE, LOWEST_RATE, Rate
from postroom.domain.ports_access import Allowance, RateLimit
from tests.adapters.breakers.parts import at_once
from tests.ports import a_port

#: So slow that nothing comes back during a test.
SLOW = Rate(per_s=LOWEST_RATE, burst=3)


@pytest.fixture(params=["local", "redis"])
def limit(request: pytest.FixtureRequest) -> RateLimit:
    if request.param == "local":
        return LocalRateLimit()
    return RedisRateLimit(request.getfixturevalue("redis_client"))


def test_a_burst_passes_and_what_comes_after_it_does_not(limit: RateLimit) -> None:
    seen = [limit.take("key", SLOW) for _ in range(5)]

    assert [each.allowed for each in seen] == [True, True, True, False, False]
    assert [each.remaining for each in seen] == [2, 1, 0, 0, 0]
    assert {each.limit for each in seen} == {3}
    assert 0 < seen[0].reset_s <= 100 < seen[1].reset_s <= 200
    assert seen[0].retry_s == 0
    assert 90 < seen[4].retry_s <= 100


def test_each_key_has_a_bucket_of_its_own(limit: RateLimit) -> None:
    for _ in range(3):
        limit.take("one", SLOW)

    assert not limit.take("one", SLOW).allowed
    assert limit.take("two", SLOW).allowed


def test_what_was_taken_comes_back(limit: RateLimit) -> None:
    rate = Rate(per_s=20, burst=1)
    limit.take("key", rate)

    give_up = time.monotonic() + 10
    while not limit.take("key", rate).allowed:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_of_many_at_once_no_more_pass_than_may(limit: RateLimit) -> None:
    rate = Rate(per_s=LOWEST_RATE, burst=5)

    seen = at_once(*[partial(limit.take, "key", rate)] * 16)

    assert sum(each.allowed for each in seen) == 5


@pytest.mark.parametrize("rate", [Rate.of(LOWEST_RATE), Rate.of(HIGHEST_RATE)], ids=str)
def test_the_ends_of_what_a_rate_may_be_are_counted(
    limit: RateLimit, rate: Rate
) -> None:
    assert limit.take("key", rate).allowed


# Redis alone


def test_all_processes_share_a_bucket(redis_client: redis.Redis) -> None:
    one, other = RedisRateLimit(redis_client), RedisRateLimit(redis_client)

    seen = [limit.take("key", SLOW).allowed for limit in (one, other) * 2]

    assert seen == [True, True, True, False]


def test_a_request_costs_one_trip_and_leaves_nothing_for_ever(
    redis_client: redis.Redis,
) -> None:
    limit = RedisRateLimit(redis_client)
    limit.take("key", SLOW)
    before = redis_client.info("commandstats")

    limit.take("key", SLOW)

    after = redis_client.info("commandstats")
    evals = [info["cmdstat_evalsha"]["calls"] for info in (before, after)]
    assert evals[1] - evals[0] == 1
    assert "cmdstat_eval" not in after
    assert redis_client.keys("*") == [b"postroom:rate:key"]
    assert 0 < redis_client.pttl("postroom:rate:key") <= 300_000 + 1000


def test_a_clock_that_was_set_back_takes_nothing(redis_client: redis.Redis) -> None:
    limit = RedisRateLimit(redis_client)
    redis_client.hset("postroom:rate:key", mapping={"tokens": 2, "at": 9e9})

    assert [limit.take("key", SLOW).allowed for _ in range(3)] == [True, True, False]


def test_a_bucket_holds_no_more_than_a_smaller_burst(redis_client: redis.Redis) -> None:
    limit = RedisRateLimit(redis_client)
    limit.take("key", Rate(per_s=1, burst=100))

    assert limit.take("key", SLOW).remaining == 2


# Redis away


def a_redis_that_is_away() -> redis.Redis:
    return redis.Redis(port=a_port(), socket_timeout=0.2, retry=Retry(NoBackoff(), 0))


def test_without_redis_each_process_counts_by_itself() -> None:
    limit = RedisRateLimit(a_redis_that_is_away())

    seen = [limit.take("key", SLOW).allowed for _ in range(4)]

    assert seen == [True, True, True, False]


def test_a_redis_that_is_away_is_asked_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    limit = RedisRateLimit(a_redis_that_is_away(), monotonic=clock.monotonic)
    asked: list[Callable[[], None]] = []

    def script(**given: object) -> None:
        asked.append(lambda: None)
        raise redis.ConnectionError

    monkeypatch.setattr(limit, "_script", script)

    for _ in range(10):
        limit.take("key", SLOW)
    assert len(asked) == 1

    clock.advance(timedelta(seconds=AWAY_S))
    limit.take("key", SLOW)
    assert len(asked) == 2


# In one process


def test_time_gives_tokens_back_up_to_the_burst() -> None:
    clock = FakeClock()
    limit = LocalRateLimit(clock.monotonic)
    rate = Rate(per_s=2, burst=4)
    for _ in range(4):
        limit.take("key", rate)

    clock.advance(timedelta(seconds=1))
    assert limit.take("key", rate) == Allowance(
        allowed=True, limit=4, remaining=1, reset_s=1.5, retry_s=0
    )

    clock.advance(timedelta(hours=1))
    assert limit.take("key", rate).remaining == 3


def test_buckets_do_not_pile_up() -> None:
    limit = LocalRateLimit()

    for number in range(MOST_BUCKETS + 10):
        limit.take(f"key_{number}", SLOW)

    assert len(limit._buckets) <= MOST_BUCKETS
