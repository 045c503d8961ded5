"""A worker that stops waits for all of its threads, on a real Valkey."""

import time
from threading import Barrier

import dramatiq
import redis
from dramatiq import Worker

from postroom.actors.broker import build_broker

THREADS = 16

#: How long the first thread takes after the stop, and each further one more, in
#: seconds: longer than a sixteenth of the timeout, or Dramatiq's sum would come out.
FIRST_S, MORE_S = 1.5, 0.05
TIMEOUT_MS = 10_000


def test_all_threads_are_waited_for_within_one_timeout(
    redis_client: redis.Redis,
) -> None:
    broker = build_broker(redis_client, [])
    in_hand = Barrier(THREADS + 1)
    done: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="slow", actor_name="slow")
    def slow(number: int) -> None:
        in_hand.wait(30)
        time.sleep(FIRST_S + number * MORE_S)
        done.append(number)

    for number in range(THREADS):
        slow.send(number)
    worker = Worker(broker, worker_threads=THREADS, worker_timeout=1000)
    worker.start()
    in_hand.wait(30)

    worker.stop(TIMEOUT_MS)

    assert sorted(done) == list(range(THREADS))
