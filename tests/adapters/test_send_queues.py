"""The queues of providers on a real Valkey, filled by Dramatiq itself."""

from __future__ import annotations

import time
from threading import Event

import pytest
import redis
from dramatiq import Worker

from postroom.actors.broker import SteadyBroker, build_broker
from postroom.actors.send import declare_send
from postroom.adapters.hints import RedisHints
from postroom.adapters.redis_clients import looks_client
from postroom.adapters.send_queues import RedisSendQueues
from postroom.adapters.settings import Settings
from postroom.cli.embedded import free_port
from postroom.domain.email import Priority
from postroom.domain.hint import send_queue
from postroom.domain.policy import Policy
from postroom.services.next_step import Dead, NextStep
from tests.builders import a_hint, seconds

PATIENCE_S = 30.0


@pytest.fixture
def queues(redis_client: redis.Redis) -> RedisSendQueues:
    return RedisSendQueues(redis_client)


@pytest.fixture
def hints(redis_client: redis.Redis) -> RedisHints:
    return RedisHints(redis_client)


@pytest.fixture
def away() -> RedisSendQueues:
    url = f"redis://127.0.0.1:{free_port()}/0"
    return RedisSendQueues(looks_client(Settings.from_env({"REDIS_URL": url})))


def test_an_empty_redis_holds_nothing(queues: RedisSendQueues) -> None:
    assert queues.backlog() == {}
    assert queues.clear("old") == 0


def test_messages_are_counted_by_queue_with_the_delayed_ones(
    queues: RedisSendQueues, hints: RedisHints
) -> None:
    for _ in range(3):
        hints.send("old", a_hint())
    hints.send("old", a_hint(), delay=seconds(30))
    hints.send("old", a_hint(priority=Priority.HIGH))
    hints.send("older", a_hint())
    hints.route(a_hint())
    hints.reconcile("0" * 24)

    assert queues.backlog() == {"send.old": 4, "send.old.high": 1, "send.older": 1}


def wait_until_in_hand(client: redis.Redis) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not list(client.scan_iter("dramatiq:__acks__.*.send.old")):
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture
def broker(redis_client: redis.Redis) -> SteadyBroker:
    return build_broker(redis_client)


def test_what_is_in_hand_is_counted_and_what_is_dead_is_not(
    queues: RedisSendQueues,
    hints: RedisHints,
    broker: SteadyBroker,
    redis_client: redis.Redis,
) -> None:
    go = Event()

    def hold(*_: object) -> NextStep:
        go.wait(PATIENCE_S)
        return Dead(reason="refused")

    declare_send(broker, "old", hold, Policy())
    hints.send("old", a_hint())
    worker = Worker(broker, worker_threads=1, worker_timeout=20)
    worker.start()
    try:
        wait_until_in_hand(redis_client)

        assert queues.backlog() == {"send.old": 1}
        go.set()
        broker.join("send.old", timeout=int(PATIENCE_S * 1000))
        assert queues.backlog() == {}
        assert redis_client.zcard("dramatiq:send.old.XQ") == 1
    finally:
        go.set()
        worker.stop()


def test_a_provider_that_is_gone_leaves_nothing_behind(
    queues: RedisSendQueues, hints: RedisHints, redis_client: redis.Redis
) -> None:
    for priority in Priority:
        hints.send("old", a_hint(priority=priority))
        hints.send("old", a_hint(priority=priority), delay=seconds(9))
        queue = send_queue("old", priority)
        redis_client.sadd(f"dramatiq:__acks__.a-worker.{queue}", "one")
        redis_client.sadd(f"dramatiq:__acks__.a-worker.{queue}.DQ", "one")
        redis_client.zadd(f"dramatiq:{queue}.XQ", {"one": 1})
        redis_client.hset(f"dramatiq:{queue}.XQ.msgs", "one", "dead")
    hints.send("older", a_hint())

    assert queues.clear("old") == 6

    assert queues.backlog() == {"send.older": 1}
    names = {key.decode() for key in redis_client.scan_iter("*")}
    assert names == {
        "dramatiq:__heartbeats__",
        "dramatiq:send.older",
        "dramatiq:send.older.msgs",
    }


def test_a_redis_that_is_away_is_told_so(away: RedisSendQueues) -> None:
    assert away.backlog() is None
    assert away.clear("old") is None
