"""What the tests of the bell have in common: an actor that counts, and waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import dramatiq
import redis
from dramatiq import Worker
from dramatiq.middleware import Retries

from postroom.actors.swift_stop import SwiftStop
from postroom.actors.waiting import WaitingBroker, WaitingConsumer
from postroom.adapters.bell import ring

PATIENCE_S = 30.0

#: How often a consumer looks though nobody rings, in ms.
NEVER_MS = 30_000

#: The bound that only who waits for the bell keeps, in seconds.
AT_ONCE_S = 10.0

QUEUE = "some"


class Taken:
    """The numbers that an actor was given, and a wait for them."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._changed = threading.Condition()

    def add(self, number: int) -> None:
        with self._changed:
            self.numbers.append(number)
            self._changed.notify_all()

    def wait_for(self, count: int, timeout_s: float = AT_ONCE_S) -> None:
        with self._changed:
            is_there = self._changed.wait_for(
                lambda: len(self.numbers) >= count, timeout_s
            )
        assert is_there, f"{len(self.numbers)} of {count} within {timeout_s} s"


def a_broker(client: redis.Redis, bell: redis.Redis | None = None) -> WaitingBroker:
    broker = WaitingBroker(
        client=client, bell_client=bell, middleware=[Retries(), SwiftStop()]
    )
    return ring(broker)


def take(broker: dramatiq.Broker, taken: Taken) -> dramatiq.Actor[[int], None]:
    @dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="take", max_retries=0)
    def actor(number: int) -> None:
        taken.add(number)

    return actor


Start = Callable[..., Worker]


def bell_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "bell"]


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def listeners(client: redis.Redis, queue: str = QUEUE) -> int:
    channel = f"dramatiq:__bell__.{queue}"
    return int(dict(client.pubsub_numsub(channel))[channel.encode()])


def consumer_of(worker: Worker, queue: str = QUEUE) -> WaitingConsumer:
    consumer = worker.consumers[queue].consumer
    assert isinstance(consumer, WaitingConsumer)
    return consumer


def wait_until_idle(client: redis.Redis, worker: Worker, count: int = 1) -> None:
    """Wait until so many listen, and this worker has looked and found nothing."""
    wait_until(lambda: listeners(client) == count)
    time.sleep(0.1)  # each subscription rings once
    wait_until(lambda: not consumer_of(worker).may_have_more)
