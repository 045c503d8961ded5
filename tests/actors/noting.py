"""Workers that note what they are given in Redis. Loaded by the dramatiq command."""

import os

import dramatiq
import redis

from postroom.actors.broker import build_broker
from postroom.adapters.bell import ring
from postroom.adapters.turns import take_turns

QUEUES = ("one", "two", "three")
NOTES = "notes"


def setup() -> None:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    broker = ring(take_turns(build_broker(client)))

    for queue in QUEUES:

        @dramatiq.actor(broker=broker, queue_name=queue, actor_name=queue)
        def note(number: int) -> None:
            client.rpush(NOTES, f"{os.getpid()} {number}")
