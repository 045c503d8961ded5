"""Broken bytes in a queue: they go, and take no message with them."""

import json
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Message, Worker
from structlog.testing import capture_logs

from postroom.actors.broker import SteadyBroker, build_broker
from postroom.actors.message import is_message

QUEUE = "send.alpha"
PATIENCE_S = 30.0

#: Messages around the broken one; all are prefetched together.
GOOD = 8

WHOLE = {
    "queue_name": QUEUE,
    "actor_name": QUEUE,
    "args": [0],
    "kwargs": {},
    "options": {"redis_message_id": "an id"},
    "message_id": "another id",
    "message_timestamp": 1,
}


def changed(**fields: Any) -> bytes:
    return json.dumps(WHOLE | fields).encode()


def without(name: str) -> bytes:
    return json.dumps({k: v for k, v in WHOLE.items() if k != name}).encode()


BROKEN = {
    "not text": b"\xff\xfe",
    "not json": b"{",
    "nothing": b"",
    "not an object": b"[]",
    "bottomless": b"[" * 100_000,
    "no arguments": without("args"),
    "an unknown field": changed(newer=True),
    "options of another kind": changed(options=[]),
    "no id in Redis": changed(options={}),
    "keywords of another kind": changed(kwargs=None),
    "an id of another kind": changed(message_id=[]),
    "an actor of another kind": changed(actor_name=None),
    "another queue's": changed(queue_name="elsewhere"),
}


@pytest.fixture
def broker(redis_client: redis.Redis) -> SteadyBroker:
    return build_broker(redis_client)


def put(client: redis.Redis, queue: str, data: bytes) -> None:
    client.hset(f"dramatiq:{queue}.msgs", "broken", data)  # type: ignore[misc]
    client.rpush(f"dramatiq:{queue}", "broken")


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def nothing_left(client: redis.Redis) -> bool:
    """Whether no message waits and none is in hand."""
    keys = {key.decode() for key in client.scan_iter("dramatiq:*")}
    return keys <= {"dramatiq:__heartbeats__"}


@pytest.mark.parametrize("queue", [QUEUE, f"{QUEUE}.DQ"])
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bytes_leave_redis_and_every_message_around_them_is_processed(
    broker: SteadyBroker, redis_client: redis.Redis, data: bytes, queue: str
) -> None:
    got: list[int] = []
    actor = dramatiq.actor(broker=broker, actor_name=QUEUE, queue_name=QUEUE)(
        got.append
    )
    delay = 1 if queue.endswith(".DQ") else None
    for no in range(GOOD):
        if no == GOOD // 2:
            put(redis_client, queue, data)
        actor.send_with_options(args=(no,), delay=delay)
    worker = Worker(broker, worker_threads=GOOD, worker_timeout=20)

    with capture_logs() as told:
        worker.start()
        try:
            wait_until(lambda: len(got) == GOOD and nothing_left(redis_client))
        finally:
            worker.stop(10_000)

    assert sorted(got) == list(range(GOOD))
    lines = [line for line in told if line["event"] == "message.unreadable"]
    assert [(line["queue"], line["count"]) for line in lines] == [(queue, 1)]


def test_what_dramatiq_writes_is_a_message(broker: SteadyBroker) -> None:
    message: Message[None] = Message(
        queue_name=QUEUE, actor_name=QUEUE, args=(1,), kwargs={}, options={}
    )

    now = broker.enqueue(message)
    later = broker.enqueue(message, delay=1000)

    assert is_message(now.encode(), queue_name=QUEUE)
    assert is_message(later.encode(), queue_name=f"{QUEUE}.DQ")
    assert not is_message(now.encode(), queue_name="elsewhere")


def test_broken_bytes_stay_in_hand_while_redis_cannot_drop_them(
    broker: SteadyBroker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise redis.ConnectionError

    broker.declare_queue(QUEUE)
    put(redis_client, QUEUE, b"{")
    monkeypatch.setattr(broker.client, "smembers", away)

    with capture_logs() as told:
        assert broker.do_fetch(QUEUE, 8) == []

    assert told[-1]["event"] == "message.not_discarded"
