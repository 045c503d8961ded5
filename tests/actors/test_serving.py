"""A worker says which queues it serves, with each sign of life."""

from __future__ import annotations

import pytest
import redis
from dramatiq import Worker

from postroom.actors.broker import build_broker
from postroom.actors.send import declare_send
from postroom.actors.serving import Serving
from postroom.adapters.clock import FakeClock
from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.domain.policy import Policy
from postroom.services.next_step import Done
from tests.builders import ALPHA, BETA

ALL = {f"send.{name}{end}" for name in (ALPHA, BETA) for end in ("", ".high", ".low")}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, ALL),
        ({"send.alpha", "send.alpha.low", "x"}, {"send.alpha", "send.alpha.low"}),
    ],
)
def test_the_queues_are_those_declared_or_those_it_is_told(
    redis_client: redis.Redis, told: set[str] | None, expected: set[str]
) -> None:
    beats = MemoryHeartbeats(FakeClock())
    serving = Serving(beats)
    broker = build_broker(redis_client, [serving])
    for name in (ALPHA, BETA):
        declare_send(broker, name, lambda *_: Done(), Policy())
    worker = Worker(broker, queues=told, worker_threads=1, worker_timeout=20)
    worker.start()
    try:
        serving.beat()
    finally:
        worker.stop()

    assert set(beats.ages() or {}) == {"worker"} | expected
