"""A process that sweeps until nothing is due, and says what it took.

One of its own, so that its memory is that of the sweep and of nothing else. It sweeps
as the router does, without a pause between two passes, and prints what `Sweeping` holds
as JSON. After each pass it throws away what Redis holds, as if everything was taken.

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
from typing import Any

from pymongo import monitoring
from redis import Redis
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
        seconds: Of all passes, without what lies between them.
        tenths_s: How long it took to offer each tenth.
        cpu_s: Of this process.
        peak_mb_before: The most that it ever had in memory, before the first of them.
        peak_mb: The same after the last one.
        mongodb_trips: Commands to MongoDB.
        redis_trips: Requests to Redis; a pipeline is one.
        redis_mb_before: What Redis had in memory before the first pass.
        redis_mb: The most that it had after one.
    """

    offered: list[int]
    seconds: float
    tenths_s: list[float]
    cpu_s: float
    peak_mb_before: float
    peak_mb: float
    mongodb_trips: int
    redis_trips: int
    redis_mb_before: float
    redis_mb: float


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
    """Sweeps, and notes by a clock that only runs meanwhile when tenths are offered."""

    def __init__(self, offer: Offer, tenth: int) -> None:
        self.spent_s = 0.0
        self.tenths_s: list[float] = []
        self._began = self._noted_s = 0.0
        self._left = self._tenth = tenth
        self._offer = offer
        self._route_all = offer.hints.route_all
        offer.hints.route_all = self._counted  # type: ignore[method-assign]

    def sweep(self) -> int:
        """Sweep once; return how many were offered."""
        self._began = time.perf_counter()
        swept = self._offer()
        self.spent_s += time.perf_counter() - self._began
        return swept.offered

    def _counted(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        self._route_all(hints)
        self._left -= len(hints)
        now_s = self.spent_s + time.perf_counter() - self._began
        while self._left <= 0:
            self.tenths_s.append(now_s - self._noted_s)
            self._noted_s = now_s
            self._left += self._tenth


def _sweep(tenth: int) -> Sweeping:
    trips = Trips()
    parts = build(Settings.from_env(os.environ), in_worker=True)
    timed = Timed(worker._offer(parts), tenth)  # noqa: SLF001 - the router's own
    redis = Redis.from_url(os.environ["REDIS_URL"])
    parts.hints.remember()
    parts.store.due(parts.clock.now(), limit=1)  # connects
    peak_mb_before, mb_before = processes.peak_mb(os.getpid()), used_mb(redis)
    offered, mb_most = [], mb_before
    cpu_s, mongodb_trips, redis_trips = 0.0, 0, 0
    while True:
        before = trips.mongodb, trips.redis, time.process_time()
        count = timed.sweep()
        if not count:
            break
        offered.append(count)
        mongodb_trips += trips.mongodb - before[0]
        redis_trips += trips.redis - before[1]
        cpu_s += time.process_time() - before[2]
        mb_most = max(mb_most, used_mb(redis))
        redis.flushdb()
        parts.hints.remember()
    return Sweeping(
        offered=offered,
        seconds=timed.spent_s,
        tenths_s=timed.tenths_s,
        cpu_s=cpu_s,
        peak_mb_before=peak_mb_before,
        peak_mb=processes.peak_mb(os.getpid()),
        mongodb_trips=mongodb_trips,
        redis_trips=redis_trips,
        redis_mb_before=mb_before,
        redis_mb=mb_most,
    )


def used_mb(client: Redis) -> float:
    """Return what Redis has in memory, in MB."""
    memory: dict[str, int] = client.info("memory")
    return memory["used_memory"] / 1024 / 1024


if __name__ == "__main__":
    print(json.dumps(asdict(_sweep(int(sys.argv[1])))))
