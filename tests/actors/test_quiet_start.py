"""A worker begins nothing before its master has been told that it is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import dramatiq
import pytest
import redis
from dramatiq import Worker

from postroom.actors import worker as composition
from postroom.actors.broker import SteadyBroker, build_broker
from postroom.actors.pulse import Pulse
from postroom.actors.quiet_start import QUIET_S, QuietStart

PATIENCE_S = 30.0


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest.fixture
def broker(redis_client: redis.Redis, pulse: Pulse) -> Iterator[SteadyBroker]:
    broker = build_broker(redis_client, [QuietStart(), pulse])
    yield broker
    broker.emit_after("worker_shutdown", None)


def test_nothing_is_done_in_the_first_moments_and_then_everything(
    broker: SteadyBroker, pulse: Pulse
) -> None:
    began: dict[str, float] = {}
    both = threading.Barrier(3)

    @dramatiq.actor(broker=broker, queue_name="some")
    def take() -> None:
        began["message"] = time.monotonic()
        both.wait(PATIENCE_S)

    def call() -> None:
        began["call"] = time.monotonic()
        both.wait(PATIENCE_S)

    pulse.every(timedelta(hours=1), call)
    take.send()
    broker.emit_after("process_boot")  # as Dramatiq's command does
    booted = time.monotonic()
    running = Worker(broker, worker_threads=1)
    running.start()
    try:
        both.wait(PATIENCE_S)
    finally:
        running.stop()

    slack_s = 0.1  # between the look at the clock in the hook and ours
    assert all(at >= booted + QUIET_S - slack_s for at in began.values())


def test_every_worker_process_starts_so(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Failpoints:
        def fit_broker(self, owner: str, broker: SteadyBroker) -> SteadyBroker:
            made.extend(broker.middleware)
            return broker

    class Parts:
        broker_client = bell_client = redis_client
        failpoints = Failpoints()

    composition._broker(Parts(), "worker")  # type: ignore[arg-type]

    assert any(isinstance(one, QuietStart) for one in made)
