"""A process that sweeps until nothing is due, and says what it took.

One of its own, so that its memory is that of the sweep and of nothing else. It sweeps
as the router does, without a pause between two passes, and prints what `Sweeping` holds
as JSON.

    python -m benchmarks.sweeper TENTH
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from pymongo import monitoring
from redis.connection import AbstractConnection

from benchmarks import processes
from benchmarks.stack import PATIENCE_S, ROOT, Stack
from postroom.actors import worker
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import build
from postroom.domain.hint import Hint
from postroom.services.offer import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeping:
    """What it took.

    Attributes:
        offered: By each pass.
        seconds: Of all passes.
        tenths_s: How long it took to offer each tenth.
        cpu_s: Of this process.
        peak_mb_before: The most that it ever had in memory, before the first of them.
        peak_mb: The same after the last one.
        mongodb_trips: Commands to MongoDB.
        redis_trips: Requests to Redis; a pipeline is one.
    """

    offered: list[int]
    seconds: float
    tenths_s: list[float]
    cpu_s: float
    peak_mb_before: float
    peak_mb: float
    mongodb_trips: int
    redis_trips: int


def run(stack: Stack, *, due: int) -> Sweeping:
    """Sweep everything that is due, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sweeper", str(max(1, due // 10))],
        env=stack.environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE_S + due / 20,
    )
    if done.returncode:
        raise RuntimeError(f"the sweeper has failed:\n{done.stderr}")
    return Sweeping(**json.loads(done.stdout.splitlines()[-1]))


class Trips(monitoring.CommandListener):
    """Counts what goes to the two servers, from all of this process."""

    def __init__(self) -> None:
        self.mongodb = self.redis = 0
        monitoring.register(self)
        send = AbstractConnection.send_packed_command

        def counted(connection: AbstractConnection, *given: Any, **more: Any) -> None:
            self.redis += 1
            send(connection, *given, **more)

        AbstractConnection.send_packed_command = counted  # type: ignore[method-assign]

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Count it."""
        del event
        self.mongodb += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Do nothing: it is counted."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing: it is counted."""


class Timed:
    """Notes when each tenth has been offered."""

    def __init__(self, offer: Offer, tenth: int) -> None:
        self.reached: list[float] = []
        self._left = self._tenth = tenth
        self._route_all = offer.hints.route_all
        offer.hints.route_all = self._counted  # type: ignore[method-assign]

    def _counted(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        self._route_all(hints)
        self._left -= len(hints)
        while self._left <= 0:
            self.reached.append(time.perf_counter())
            self._left += self._tenth


def _sweep(tenth: int) -> Sweeping:
    trips = Trips()
    parts = build(Settings.from_env(os.environ), in_worker=True)
    offer = worker._offer(parts)  # noqa: SLF001 - the router's own
    parts.hints.remember()
    offered: list[int] = []
    timed = Timed(offer, tenth)
    parts.store.due(parts.clock.now(), limit=1)  # connects
    before = trips.mongodb, trips.redis, time.process_time()
    peak_mb_before = processes.peak_mb(os.getpid())
    began = time.perf_counter()
    while (swept := offer()).offered:
        offered.append(swept.offered)
    ended = time.perf_counter()
    marks = [began, *timed.reached]
    return Sweeping(
        offered=offered,
        seconds=ended - began,
        tenths_s=[b - a for a, b in pairwise(marks)],
        cpu_s=time.process_time() - before[2],
        peak_mb_before=peak_mb_before,
        peak_mb=processes.peak_mb(os.getpid()),
        mongodb_trips=trips.mongodb - before[0],
        redis_trips=trips.redis - before[1],
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_sweep(int(sys.argv[1])))))
