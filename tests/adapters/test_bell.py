"""What rings the bell, in the script that enqueues: on a real Valkey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker
from redis.client import PubSub

from postroom.adapters.bell import ring
from postroom.adapters.dramatiq_pipeline import EnqueueBroker
from postroom.adapters.hints import RedisHints
from postroom.adapters.turns import take_turns
from tests.adapters.breakers.parts import impatient_client
from tests.builders import a_hint
from tests.servers import a_redis

PATIENCE_S = 30.0
QUEUE = "router"


@pytest.fixture
def ears(redis_client: redis.Redis) -> Iterator[PubSub]:
    with redis_client.pubsub() as ears:
        ears.psubscribe("dramatiq:__bell__.*", "mark")
        for _ in range(2):
            assert ears.get_message(timeout=PATIENCE_S)
        yield ears


@pytest.fixture
def rung(redis_client: redis.Redis, ears: PubSub) -> Callable[[], list[str]]:
    """Give the queues that were rung for since the last call, in their order."""

    def rung() -> list[str]:
        redis_client.publish("mark", "")
        heard = []
        while (channel := hear(ears)) != "mark":
            heard.append(channel.removeprefix("dramatiq:__bell__."))
        return heard

    return rung


def hear(ears: PubSub) -> str:
    give_up = time.monotonic() + PATIENCE_S
    while (message := ears.get_message(timeout=1)) is None:
        assert time.monotonic() < give_up
    channel: bytes = message["channel"]
    return channel.decode()


@pytest.fixture
def broker(redis_client: redis.Redis) -> RedisBroker:
    return ring(a_stock_broker(redis_client))


def a_stock_broker(client: redis.Redis) -> RedisBroker:
    return RedisBroker(client=client, middleware=[])  # type: ignore[no-untyped-call]


def a_message(queue: str = QUEUE) -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name=queue, actor_name="some", args=(), kwargs={}, options={}
    )


def test_what_comes_into_an_empty_queue_rings_and_a_backlog_no_more(
    broker: RedisBroker, rung: Callable[[], list[str]]
) -> None:
    for _ in range(5):
        broker.enqueue(a_message())
    assert rung() == [QUEUE]

    assert len(broker.do_fetch(QUEUE, 16)) == 5
    broker.enqueue(a_message())
    assert rung() == [QUEUE]


def test_each_queue_has_its_bell_and_a_delayed_message_that_of_its_delay_queue(
    broker: RedisBroker, rung: Callable[[], list[str]]
) -> None:
    broker.enqueue(a_message("send.alpha"))
    broker.enqueue(a_message("send.beta"), delay=60_000)

    assert rung() == ["send.alpha", "send.beta.DQ"]


def test_many_in_one_pipeline_ring(
    redis_client: redis.Redis, rung: Callable[[], list[str]]
) -> None:
    hints = RedisHints(redis_client)

    hints.route_all([(a_hint(), timedelta(0)) for _ in range(100)])

    assert rung() == [QUEUE]


def test_ringing_costs_no_trip_more(
    redis_client: redis.Redis, broker: RedisBroker, ears: PubSub
) -> None:
    def requests(enqueue: Callable[[], Any]) -> int:
        enqueue()  # the script is known from here on
        redis_client.delete("dramatiq:router")
        before = calls()
        enqueue()
        return calls() - before

    def calls() -> int:
        stats = redis_client.info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"])

    assert requests(lambda: broker.enqueue(a_message())) == 1
    many = EnqueueBroker(redis_client)
    assert requests(lambda: many.enqueue_all([(a_message(), None)] * 9)) == 9


def test_what_is_given_back_rings(
    broker: RedisBroker, rung: Callable[[], list[str]]
) -> None:
    given = [broker.enqueue(a_message()) for _ in range(3)]
    broker.do_fetch(QUEUE, 16)
    rung()

    broker.do_requeue(QUEUE, *(m.options["redis_message_id"] for m in given))

    assert rung() == [QUEUE]


def test_what_a_dead_worker_had_in_hand_rings_when_it_is_found(
    broker: RedisBroker, redis_client: redis.Redis, rung: Callable[[], list[str]]
) -> None:
    broker.enqueue(a_message())
    broker.do_fetch(QUEUE, 16)
    other = ring(a_stock_broker(redis_client))
    other.heartbeat_timeout, other.maintenance_chance = 0, MAINTENANCE_SCALE
    rung()

    other.do_qsize(QUEUE)

    assert rung() == [QUEUE]


@pytest.mark.parametrize("turns", [False, True], ids=["dramatiq's", "turns"])
def test_an_answer_is_that_of_the_script_that_it_goes_around(
    redis_client: redis.Redis, *, turns: bool
) -> None:
    plain = a_stock_broker(redis_client)
    broker = ring(take_turns(plain) if turns else plain)
    first, second = broker.enqueue(a_message()), broker.enqueue(a_message())

    fetched = broker.do_fetch(QUEUE, 16)

    assert fetched == [first.encode(), second.encode()]
    assert broker.do_qsize(QUEUE) == 4
    assert broker.do_fetch(QUEUE, 16) == []


def test_who_may_not_publish_enqueues_all_the_same(tmp_path: Path) -> None:
    with a_redis(tmp_path) as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.acl_setuser(  # type: ignore[no-untyped-call]
                "mute", enabled=True, nopass=True, keys="*", commands=["+@all"]
            )
        with impatient_client(server.url) as client:
            client.execute_command("AUTH", "mute", "")
            broker = ring(a_stock_broker(client))

            broker.enqueue(a_message())

            assert len(broker.do_fetch(QUEUE, 16)) == 1
