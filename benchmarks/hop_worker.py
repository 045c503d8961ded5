"""One actor that notes when it was reached, on the product's broker or on Dramatiq's.

The Procfile's worker line runs it, with `benchmarks.hop_worker:product` or `:stock` in
the place of the product's own.
"""

from __future__ import annotations

import os
import time

import dramatiq
import redis
from dramatiq import Broker, Message
from dramatiq.brokers.redis import RedisBroker

from postroom.actors.broker import build_broker
from postroom.adapters.shared_script import share_trips
from postroom.adapters.turns import take_turns

QUEUE = "hop"

#: The list of when each message reached the actor, in epoch seconds.
REACHED = "bench:reached"


def product() -> None:
    """Set up a process on the broker of the product's workers."""
    client = _client()
    broker = take_turns(build_broker(client))
    share_trips(broker)
    _declare(broker, client)


def stock() -> None:
    """Set up a process on Dramatiq's broker with its own middleware."""
    client = _client()
    broker = RedisBroker(client=client)
    dramatiq.set_broker(broker)
    _declare(broker, client)


def message(began: float) -> Message[None]:
    """Return a message to the actor."""
    return Message(
        queue_name=QUEUE, actor_name=QUEUE, args=(began,), kwargs={}, options={}
    )


def _client() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def _declare(broker: Broker, client: redis.Redis) -> None:
    def hop(began: float) -> None:
        reached = time.time()
        client.rpush(REACHED, f"{began} {reached}")

    dramatiq.actor(broker=broker, actor_name=QUEUE, queue_name=QUEUE, max_retries=0)(
        hop
    )
