"""What a dead worker had in hand is begun once more, and then dropped."""

import time
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Message, Worker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import SkipMessage
from structlog.testing import capture_logs

from postroom.actors.broker import HEARTBEAT_TIMEOUT_MS, SteadyBroker, build_broker
from postroom.actors.second_chance import SecondChance
from tests.servers import a_redis

PATIENCE_S = 30.0


@pytest.fixture
def chance() -> SecondChance:
    return SecondChance()


@pytest.fixture
def broker(redis_client: redis.Redis, chance: SecondChance) -> SteadyBroker:
    return build_broker(redis_client, [chance])


def a_message(
    *, age_ms: int = 2 * HEARTBEAT_TIMEOUT_MS, args: tuple[Any, ...] = ()
) -> MessageProxy:
    message: Message[Any] = Message(
        queue_name="some",
        actor_name="some",
        args=args,
        kwargs={},
        options={"redis_message_id": "an id"},
        message_timestamp=round(time.time() * 1000) - age_ms,
    )
    return MessageProxy(message)


@pytest.mark.parametrize(
    ("args", "email_id"), [((), None), (("x",), None), (({"email_id": "x"},), "x")]
)
def test_one_that_ended_two_workers_is_dropped(
    broker: SteadyBroker, chance: SecondChance, args: tuple[Any, ...], email_id: str
) -> None:
    chance.before_process_message(broker, a_message(args=args))

    with capture_logs() as told, pytest.raises(SkipMessage):
        chance.before_process_message(broker, a_message(args=args))

    assert told[0]["event"] == "message.dropped"
    assert told[0]["email_id"] == email_id


def test_one_that_came_to_an_end_may_come_again(
    broker: SteadyBroker, chance: SecondChance, redis_client: redis.Redis
) -> None:
    for _ in range(3):
        chance.before_process_message(broker, a_message())
        chance.after_process_message(broker, a_message())

    assert redis_client.keys("postroom:*") == []


def test_a_young_one_comes_from_no_dead_worker_and_costs_nothing(
    broker: SteadyBroker, chance: SecondChance, redis_client: redis.Redis
) -> None:
    before = commands(redis_client)

    for _ in range(3):
        chance.before_process_message(broker, a_message(age_ms=0))
    chance.after_process_message(broker, a_message(age_ms=0))

    assert commands(redis_client) - before <= 2  # the questions of this test itself


def test_nothing_is_dropped_while_redis_is_away(
    tmp_path: Any, chance: SecondChance
) -> None:
    with a_redis(tmp_path) as server:
        broker = build_broker(redis.Redis.from_url(server.url), [chance])
        server.kill9()

        for _ in range(2):
            chance.before_process_message(broker, a_message())
        chance.after_process_message(broker, a_message())


def test_a_worker_drops_it_without_running_it(
    broker: SteadyBroker, chance: SecondChance, redis_client: redis.Redis
) -> None:
    ran: list[int] = []
    dramatiq.actor(broker=broker, actor_name="some", queue_name="some")(ran.append)
    old = broker.enqueue(a_message(args=(1,))._message)
    chance.before_process_message(broker, MessageProxy(old))
    worker = Worker(broker, worker_threads=1, worker_timeout=20)

    worker.start()
    try:
        give_up = time.monotonic() + PATIENCE_S
        while redis_client.hlen("dramatiq:some.msgs"):
            assert time.monotonic() < give_up
            time.sleep(0.02)
    finally:
        worker.stop(10_000)

    assert ran == []


def commands(client: redis.Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])
