"""No wake-up is lost between processes: many who enqueue, three workers, three queues.

The workers look by themselves once in ten minutes, and the queues run empty all the
time: an email that was not rung for would be missing at the end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from dramatiq import Message

from postroom.adapters.dramatiq_pipeline import EnqueueBroker
from tests.actors.noting import NOTES, QUEUES

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
PROCESSES = 3
NEVER_MS = 600_000

GIVERS = 6
ROUNDS = 80

#: Most messages of a round, and the longest pause after it, in seconds.
TOGETHER = 6
PAUSE_S = 0.02


@pytest.fixture
def workers(redis_url: str, redis_client: redis.Redis) -> Iterator[None]:
    command = ["-m", "dramatiq", "tests.actors.noting:setup"]
    process = subprocess.Popen(
        [sys.executable, *command, "--processes", str(PROCESSES), "--threads", "2"],
        cwd=ROOT,
        env={
            **os.environ,
            "REDIS_URL": redis_url,
            "dramatiq_worker_timeout": str(NEVER_MS),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_all_listen(redis_client)
        yield
        process.terminate()
        # Nobody waits for ten minutes here either.
        assert process.wait(PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_all_listen(client: redis.Redis) -> None:
    channels = [f"dramatiq:__bell__.{queue}" for queue in QUEUES]
    give_up = time.monotonic() + PATIENCE_S
    while {count for _, count in client.pubsub_numsub(*channels)} != {PROCESSES}:
        assert time.monotonic() < give_up, "they do not listen"
        time.sleep(0.05)


def give(client: redis.Redis, giver: int, given: list[int]) -> None:
    """Enqueue single ones and several together, with pauses."""
    draw = random.Random(giver)  # noqa: S311 - pauses, not secrets
    broker = EnqueueBroker(client)
    for no in range(ROUNDS):
        numbers = [
            (giver * ROUNDS + no) * TOGETHER + each
            for each in range(draw.randint(1, TOGETHER))
        ]
        messages = [a_message(draw.choice(QUEUES), number) for number in numbers]
        if len(messages) == 1:
            broker.enqueue(messages[0])
        else:
            broker.enqueue_all([(message, None) for message in messages])
        given += numbers
        time.sleep(draw.uniform(0, PAUSE_S))


def a_message(queue: str, number: int) -> Message[None]:
    return Message(
        queue_name=queue, actor_name=queue, args=(number,), kwargs={}, options={}
    )


@pytest.mark.slow
def test_all_that_is_enqueued_is_taken_though_nobody_polls(
    redis_client: redis.Redis, workers: None
) -> None:
    given: list[int] = []
    givers = [
        threading.Thread(target=give, args=(redis_client, no, given))
        for no in range(GIVERS)
    ]
    for thread in givers:
        thread.start()
    for thread in givers:
        thread.join()

    give_up = time.monotonic() + PATIENCE_S
    while redis_client.llen(NOTES) < len(given):
        assert time.monotonic() < give_up, "some are missing"
        time.sleep(0.05)

    notes = [line.decode().split() for line in redis_client.lrange(NOTES, 0, -1)]
    print(f"\n{len(given)} messages: {Counter(pid for pid, _ in notes)}")
    assert sorted(int(number) for _, number in notes) == sorted(given)
