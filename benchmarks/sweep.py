"""A backlog that only the sweep knows of: what it takes, and who waits for it."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, takewhile
from pathlib import Path

import redis
from pymongo.collection import Collection

from benchmarks import processes, sweeper
from benchmarks.client import percentile
from benchmarks.pickup import posted_slowly
from benchmarks.size import Size
from benchmarks.stack import PATIENCE_S, Stack, Store
from benchmarks.stored import Document, make_due, queued_one
from benchmarks.sweeper import used_mb
from benchmarks.table import Cell, Table
from postroom.adapters.mongo_store import connect, database_of, durable
from postroom.adapters.send_queues import NAMESPACE

SWEEP_NOTES = """
So many emails are due and none was ever offered. A process of its own sweeps as the
router does, until nothing is due; after each pass all hints are gone, as if they were
taken. "tenths": the seconds for each tenth. "peak MB": the most that the process ever
had in memory, before the first pass and after the last. Redis's is the most after a
pass. Trips are requests to a server; a pipeline is one. The ratio is of the time of an
email, to the smallest backlog.
"""

FRESH_NOTES = """
All lines of the Procfile as shipped. Emails are posted one at a time, 50 to 150 ms
apart: first with nothing else to do, then while the sweep finds a backlog and router
and worker work it off, from the first call for it to the last. Times are from the first
byte of the request to the whole call at the provider, by one clock. "passes" of the
sweep, and "offers": how many it made for each email of the backlog. "peak MB": the most
that a process of this line ever had in memory; hints and Redis's MB are the most that
was seen to wait there at once. "called twice": emails. The ratios are to the row
without a backlog.
"""

#: The emails of the backlogs were accepted so long ago, and are not yet too old.
_AGE = timedelta(hours=1)

#: Which lines may find what is due.
_SENDING = ("worker", "router", "scheduler")

#: How often a backlog is looked at, in seconds.
_LOOK_S = 0.5

#: A rate that even a busy machine reaches, in emails a second.
_SLOWEST_PER_S = 20


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the tables of one store."""
    with Stack(folder, store) as stack:
        stack.start("web")
        stack.wait_until_ready()
        like = queued_one(stack)
        rows = [_swept(stack, due, like) for due in size.due]
        for row in rows:
            row["an email x"] = _ratio(row["ms an email"], rows[0]["ms an email"])
        yield Table(
            part="sweep",
            title=f"Sweep of a backlog, {store} store",
            rows=rows,
            notes=SWEEP_NOTES,
        )
        yield Table(
            part="sweep",
            title=f"Fresh mail beside a swept backlog, {store} store",
            rows=[
                row
                for ms in size.due_delays_ms
                for row in _fresh(stack, size, ms, like)
            ],
            notes=FRESH_NOTES,
        )


@contextmanager
def _emails(stack: Stack) -> Iterator[Collection[Document]]:
    with connect(stack.mongodb_url) as mongodb:
        yield durable(database_of(mongodb))["emails"]


def _store_due(stack: Stack, due: int, like: Document) -> None:
    with stack.parts() as parts, _emails(stack) as emails:
        make_due(emails, like, count=due, since=parts.clock.now() - _AGE)


# The sweep alone


def _swept(stack: Stack, due: int, like: Document) -> dict[str, Cell]:
    with stack.redis() as client, _emails(stack) as emails:
        client.flushdb()
        _store_due(stack, due, like)
        before = stack.cpus_s()
        found = sweeper.run(stack, due=due)
        after = stack.cpus_s()
        emails.delete_many({"due_at": {"$gt": like["created_at"] - _AGE}})
        client.flushdb()
    assert sum(found.offered) == due, found
    grown_mb = found.redis_mb - found.redis_mb_before
    return {
        "due": due,
        "passes": len(found.offered),
        "s": found.seconds,
        "ms an email": found.seconds * 1000 / due,
        "tenths, s": " ".join(f"{each:.2f}" for each in found.tenths_s),
        "peak MB at first": found.peak_mb_before,
        "peak MB": found.peak_mb,
        "sweep CPU ms": found.cpu_s * 1000 / due,
        "store CPU ms": (after["store"] - before["store"]) * 1000 / due,
        "Redis CPU ms": (after["redis"] - before["redis"]) * 1000 / due,
        "MongoDB trips": found.mongodb_trips,
        "Redis trips": found.redis_trips,
        "Redis MB at first": found.redis_mb_before,
        "Redis MB": found.redis_mb,
        "B a hint": grown_mb * 1024 * 1024 / max(found.offered),
    }


# Beside fresh mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Emails that were posted one by one, and what was seen meanwhile.

    Attributes:
        posted: When each began, and how long its POST took, in seconds, by id.
        redis_mb: The most that Redis had.
        hints: The most that waited in it at once.
    """

    posted: dict[str, tuple[float, float]]
    redis_mb: float
    hints: int

    def within(
        self, first: float = 0.0, last: float = math.inf
    ) -> dict[str, tuple[float, float]]:
        """Return those that began between two times, in epoch seconds."""
        return {i: each for i, each in self.posted.items() if first <= each[0] <= last}


def _fresh(
    stack: Stack, size: Size, delay_ms: int, like: Document
) -> Iterator[dict[str, Cell]]:
    stack.provider.delay(delay_ms)
    stack.start(*_SENDING)
    stack.wait_until_ready()
    _settled(stack, size.warm_up)
    quiet = _settled(stack, size.fresh)
    due, swept = size.due[-1], len(_passes(stack))
    first = _row(stack, quiet, [], due=0, delay_ms=delay_ms)
    yield first
    stack.signal(signal.SIGSTOP, *_SENDING)
    try:
        _store_due(stack, due, like)
    finally:
        stack.signal(signal.SIGCONT, *_SENDING)
    busy = _settled(stack, backlog=due)
    row = _row(stack, busy, _passes(stack)[swept:], due=due, delay_ms=delay_ms)
    for name in ("p50 ms", "p99 ms", "POST p50 ms"):
        row[f"{name.removesuffix(' ms')} x"] = _ratio(row[name], first[name])
    yield row
    stack.kill(*_SENDING)


def _settled(stack: Stack, count: int | None = None, *, backlog: int = 0) -> Fresh:
    """Post so many, or for as long as there is a backlog; wait until all is settled."""
    stack.provider.forget()
    with stack.redis() as client, closing(posted_slowly(stack)) as posted:
        watch = _Watch(stack, client, backlog)
        wanted = islice(posted, count)
        if backlog:
            wanted = takewhile(lambda _: watch.goes_on(), posted)
        found = {id_: (began, took) for id_, began, took in wanted}
        watch.look()
    stack.wait_for_taken(backlog + len(found))
    stack.wait_until_settled()
    return Fresh(posted=found, redis_mb=watch.redis_mb, hints=watch.hints)


class _Watch:
    """Looks now and then how far a backlog has come, and at what Redis holds."""

    def __init__(self, stack: Stack, client: redis.Redis, backlog: int) -> None:
        self._stack = stack
        self._client = client
        self._backlog = backlog
        self._looks_at = 0.0
        self._gives_up_at = time.monotonic() + PATIENCE_S + backlog / _SLOWEST_PER_S
        self._taken = 0
        self.redis_mb = 0.0
        self.hints = 0

    def goes_on(self) -> bool:
        """Return whether there is a backlog yet; dearly, but not at each call."""
        now = time.monotonic()
        if now >= self._looks_at:
            self.look()
            self._looks_at = now + _LOOK_S
        if now > self._gives_up_at:
            raise RuntimeError(f"{self._taken} of {self._backlog} emails were taken")
        return self._taken < self._backlog

    def look(self) -> None:
        """Note how things are now."""
        self._taken = self._stack.provider.count()
        self.redis_mb = max(self.redis_mb, used_mb(self._client))
        keys = list(self._client.scan_iter(f"{NAMESPACE}:*.msgs", count=1000))
        self.hints = max(self.hints, sum(self._client.hlen(key) for key in keys))


def _row(
    stack: Stack, fresh: Fresh, swept: Sequence[int], *, due: int, delay_ms: int
) -> dict[str, Cell]:
    taken = stack.provider.taken()
    at = dict(reversed(taken))  # the first call of each counts
    backlog = sorted(when for id_, when in at.items() if id_ not in fresh.posted)
    posted = fresh.within(*(backlog[:1] + backlog[-1:]) if due else ())
    waits = sorted((at[id_] - began) * 1000 for id_, (began, _) in posted.items())
    posts = sorted(took * 1000 for _, took in posted.values())
    row: dict[str, Cell] = {
        "due": due,
        "delay ms": delay_ms,
        "fresh": len(waits),
        "p50 ms": percentile(waits, 50),
        "p99 ms": percentile(waits, 99),
        "max ms": waits[-1],
        "POST p50 ms": percentile(posts, 50),
        "POST p99 ms": percentile(posts, 99),
        "backlog/s": len(backlog) / (backlog[-1] - backlog[0]) if due else None,
        "passes": len(swept) if due else None,
        "offers": sum(swept) / due if due else None,
        "called twice": len(taken) - len(at),
    }
    for name in ("router", "worker"):
        row[f"{name} peak MB"] = processes.peak_mb(stack.pids[name])
    row |= {"hints": fresh.hints, "Redis MB": fresh.redis_mb}
    return row


def _passes(stack: Stack) -> Sequence[int]:
    """Return how many emails each pass of the sweep offered, as its log says."""
    lines = (stack.folder / "router.log").read_text().splitlines()
    swept = (json.loads(line) for line in lines if '"sweep.done"' in line)
    return [line["offered"] for line in swept]


def _ratio(value: Cell, first: Cell) -> float:
    assert isinstance(value, float)
    assert isinstance(first, float)
    return value / first
