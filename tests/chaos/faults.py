"""What can go wrong, and how each of it is made and mended again.

They come in waves, so that what a fault costs can be told from what the next one does.
In a wave three lanes run beside each other: processes and servers, the ways between
them, and the provider. Each goes through all that it knows in an order drawn from the
seed, and then again in another.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.chaos.evidence import Fault, Ledger
from tests.chaos.house import House
from tests.chaos.load import Load
from tests.chaos.provider_faults import MIXTURES, Rules
from tests.chaos.proxy import Mode, Order

#: In this time of a wave a lane begins another fault, in seconds.
WAVE_S = 4.0

#: Between two faults of a lane, and between two waves, in seconds.
PAUSE_S, CALM_S = (0.1, 0.8), (4.0, 6.0)

#: How long a server is away, a way is disturbed, a provider fails, in seconds.
AWAY_S, DISTURBED_S, FAILING_S = (1.0, 2.0), (1.5, 3.0), (3.0, 5.0)

#: A stopped worker goes on so long after its lease, in seconds.
PAST_LEASE_S = 2.0

#: How wrong a clock is, and for how long, in seconds: more than the time after which
#: Dramatiq takes a worker for dead.
OFF_S, OFF_FOR_S = 120.0, 6.0

#: How many emails come at once, and what the provider takes for each, in ms.
BURST, BURST_MS = 60, 700

#: What goes over a way, by the kind of fault.
ORDERS: Mapping[str, Order] = {
    "latency": Order(mode=Mode.LATENCY, pause_s=0.3),
    "reset": Order(mode=Mode.RESET),
    "dropped_replies": Order(mode=Mode.DROP, chance=0.15),
    "blackhole": Order(mode=Mode.BLACKHOLE),
    "slow_bytes": Order(mode=Mode.SLOW, pause_s=0.01),
}

LEGS = ("redis", "mongodb", "provider")

#: MongoDB's own faults, as `failCommand` takes them. 91 is a shutdown in progress, 64
#: a write concern that was not reached in time.
FAILPOINTS: Mapping[str, Mapping[str, Any]] = {
    "close_connection": {"closeConnection": True},
    "error_code": {"errorCode": 91},
    "write_concern_error": {
        "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}
    },
    "block_connection": {"blockConnection": True, "blockTimeMS": 1500},
}

#: The commands that they hit, how many at once, and how often, in seconds.
HIT, HITS, HIT_EVERY_S = ["insert", "update", "find"], 4, 0.3

Make = Callable[[random.Random], contextlib.AbstractContextManager[object]]


class Lane:
    """A deck of faults, shuffled again whenever it is through."""

    def __init__(self, seed: int, name: str, deck: Mapping[str, Make]) -> None:
        self.draw = random.Random(f"{seed} lane {name}")  # noqa: S311 - a test's
        self._deck = deck
        self._left: list[str] = []

    def next(self) -> tuple[str, Make]:
        kinds = sorted(self._deck)
        self._left = self._left or self.draw.sample(kinds, len(kinds))
        kind = self._left.pop()
        return kind, self._deck[kind]


@dataclass(kw_only=True)
class Script:
    """All the faults of one run.

    Attributes:
        lease_s: The lease that a stopped worker must outlive.
        spares: Lines that are not killed: those whose memory is watched.
    """

    house: House
    load: Load
    rules: Rules
    folder: Path
    seed: int
    lease_s: float
    spares: frozenset[str] = frozenset()

    def run(self, seconds: float) -> None:
        """Run wave after wave; afterwards everything is mended."""
        draw = random.Random(f"{self.seed} waves")  # noqa: S311 - a test's
        lanes = [Lane(self.seed, name, deck) for name, deck in self._lanes().items()]
        self._ledger = Ledger(self.folder, "faults")
        self._end = time.monotonic() + seconds
        while time.monotonic() < self._end:
            with ThreadPoolExecutor(len(lanes)) as threads:
                list(threads.map(self._ride, lanes))
            self._pause(draw.uniform(*CALM_S))
        self._ledger.close()

    def _ride(self, lane: Lane) -> None:
        """Make the faults that one lane has for one wave: one at least."""
        end = min(time.monotonic() + WAVE_S, self._end)
        while time.monotonic() < end:
            self._pause(lane.draw.uniform(*PAUSE_S))
            kind, make = lane.next()
            self._apply(kind, make, lane.draw)

    def _apply(self, kind: str, make: Make, draw: random.Random) -> None:
        started_at = time.time()
        with make(draw) as told:
            pass
        fault = Fault(
            kind=kind,
            started_at=started_at,
            ended_at=time.time(),
            detail=str(told or ""),
        )
        self._ledger.add(fault)

    def _lanes(self) -> dict[str, dict[str, Make]]:
        ways: dict[str, Make] = {
            f"{leg}_{kind}": self._way(leg, order)
            for leg in LEGS
            for kind, order in ORDERS.items()
        }
        ways |= {
            f"failpoint_{kind}": self._failpoint(data)
            for kind, data in FAILPOINTS.items()
        }
        provider: dict[str, Make] = {
            f"provider_{kind}": self._mixture(kind) for kind in MIXTURES
        }
        return {
            "processes": self._processes(),
            "ways": ways,
            "provider": provider | {"backlog": self._backlog},
        }

    # Processes and servers

    def _processes(self) -> dict[str, Make]:
        lines = self.house.lines.keys() - {"release"} - self.spares
        return {f"kill_{name}": self._kill(name) for name in sorted(lines)} | {
            "kill_redis": self._kill_server("redis"),
            "kill_mongodb": self._kill_server("mongodb"),
            "flush_redis": self._flush,
            "stop_worker": self._stop_worker,
            "clock_ahead": self._clock(OFF_S),
            "clock_behind": self._clock(-OFF_S),
        }

    def _kill(self, name: str) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            with self.house.down(name):
                self._pause(draw.uniform(*AWAY_S) / 2)
            yield None

        return make

    def _kill_server(self, name: str) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            server = getattr(self.house, name)
            server.kill9()
            self._pause(draw.uniform(*AWAY_S))
            server.start()
            yield None

        return make

    @contextlib.contextmanager
    def _flush(self, draw: random.Random) -> Iterator[object]:
        self.house.flush_redis()
        yield None

    @contextlib.contextmanager
    def _stop_worker(self, draw: random.Random) -> Iterator[object]:
        # A spared one is stopped too: it lives on.
        name = draw.choice(["worker", "worker_b"])
        with self.house.paused(name):
            time.sleep(self.lease_s + PAST_LEASE_S)
        yield name

    def _clock(self, off_s: float) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            self.house.start_with_clock("worker_b", off_s=off_s)
            self._pause(OFF_FOR_S)
            self.house.start_with_clock("worker_b", off_s=0)
            yield f"{off_s:+.0f} s"

        return make

    # The ways between them

    def _way(self, leg: str, order: Order) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            proxies = self.house.proxies
            proxies.set(leg, order)
            before = proxies.hits[leg]
            self._pause(draw.uniform(*DISTURBED_S))
            proxies.set(leg)
            yield f"{proxies.hits[leg] - before} hits"

        return make

    def _failpoint(self, data: Mapping[str, Any]) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            armed = 0
            end = time.monotonic() + draw.uniform(*DISTURBED_S)
            with MongoClient[dict[str, Any]](
                self.house.mongodb.url, serverSelectionTimeoutMS=500
            ) as client:
                while time.monotonic() < end:
                    armed += _set_failpoint(client, data)
                    time.sleep(HIT_EVERY_S)
                _set_failpoint(client, None)
            yield f"armed {armed} times for {HITS} commands"

        return make

    # The provider

    def _mixture(self, kind: str) -> Make:
        @contextlib.contextmanager
        def make(draw: random.Random) -> Iterator[object]:
            with self.rules.added(*MIXTURES[kind]()):
                self._pause(draw.uniform(*FAILING_S))
            yield None

        return make

    @contextlib.contextmanager
    def _backlog(self, draw: random.Random) -> Iterator[object]:
        with self.rules.slower(BURST_MS):
            self.load.burst(BURST)
            self._pause(draw.uniform(*FAILING_S))
        yield f"{BURST} at once, {BURST_MS} ms each"

    def _pause(self, seconds: float) -> None:
        """Sleep, but not past the end of the script."""
        time.sleep(max(0.0, min(seconds, self._end - time.monotonic())))


def _set_failpoint(
    client: MongoClient[dict[str, Any]], data: Mapping[str, Any] | None
) -> int:
    """Arm the failpoint for our processes' connections, or disarm it."""
    mode = {"times": HITS} if data else "off"
    what = {"failCommands": HIT, "appName": "postroom", **(data or {})}
    try:
        client.admin.command(
            {"configureFailPoint": "failCommand", "mode": mode, "data": what}
        )
    except PyMongoError:
        return 0  # it was killed meanwhile, and the failpoint with it
    return 1
