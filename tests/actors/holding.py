"""A worker whose messages take a while, for the test of a stop in the middle.

Loaded by the dramatiq command. It notes in a file what it begins and what it ends.
"""

import os
import time

import dramatiq
import redis

from postroom.actors.broker import build_broker
from postroom.actors.graceful_stop import GracefulStop

#: Long enough for further signals to come meanwhile, in seconds.
HOLD_S = 3.0


def setup() -> None:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    middleware = [] if "UNGRACEFUL" in os.environ else [GracefulStop()]
    declare(build_broker(client, middleware))


def declare(broker: dramatiq.Broker) -> dramatiq.Actor[..., None]:
    @dramatiq.actor(broker=broker, actor_name="hold", max_retries=0)
    def hold(no: int) -> None:
        note(f"begun {no}")
        time.sleep(HOLD_S)
        note(f"ended {no}")

    return hold


def note(line: str) -> None:
    fd = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)
