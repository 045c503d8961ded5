"""Workers that wait for the bell, and what their actor was given."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq
import pytest
from dramatiq import Worker

from tests.actors.belled import NEVER_MS, Start, Taken, bell_threads, wait_until


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[Worker] = []

    def begin(
        broker: dramatiq.Broker, *, threads: int = 2, timeout_ms: int = NEVER_MS
    ) -> Worker:
        worker = Worker(broker, worker_threads=threads, worker_timeout=timeout_ms)
        worker.start()
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.stop(10_000)
    wait_until(lambda: not bell_threads())
