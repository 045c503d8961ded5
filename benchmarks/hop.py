"""One hop, from enqueue to actor, on the product's broker and on Dramatiq's own."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from benchmarks.client import percentile
from benchmarks.hop_worker import QUEUE, REACHED, message
from benchmarks.pickup import commands
from benchmarks.size import Size
from benchmarks.stack import Stack, Store, replaced
from benchmarks.table import Cell, Table
from postroom.adapters.dramatiq_pipeline import EnqueueBroker

NOTES = """
One queue, one process of 8 threads, one actor that only notes the time; messages one at
a time, 20 to 120 ms apart, 1.6 to 2.2 s with Dramatiq's default settings. "Postroom" is
the broker and the options of the Procfile's worker, "Dramatiq" its Redis broker with
default settings, "Dramatiq, 20 ms" the same with `dramatiq_worker_timeout=20`. Idle: of
this one process. Enqueue: from one thread with no worker running, in turns; the median
of the rounds.
"""

#: Messages before the timing.
WARM_UP = 3

#: Between two messages, in seconds.
GAP_S = (0.02, 0.12)

#: The same for Dramatiq's default settings: its consumer looks less often from time to
#: time, and is at its slowest after this long. So there are fewer messages.
LONG_GAP_S = (1.6, 2.2)
FEWER = 16

#: Rounds of enqueueing are short, and so there are more of them.
MORE_ROUNDS = 3

_THREADS = "8"

_STOCK = (
    "dramatiq benchmarks.hop_worker:stock --processes 1 --threads "
    f"{_THREADS} --worker-fork-timeout 2000"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A broker, and the line that starts its worker.

    Attributes:
        share: Of the messages that are timed.
    """

    name: str
    line: str
    broker: Callable[[redis.Redis], RedisBroker]
    gap_s: tuple[float, float] = GAP_S
    share: float = 1.0


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield one table; the store is not used."""
    with Stack(folder, store) as stack, stack.redis() as client:
        kinds = list(_kinds())
        rates = _enqueue_rates(client, kinds, size)
        rows = [_row(stack, client, kind, size, rates) for kind in kinds]
    title = "One hop, enqueue to actor"
    yield Table(part="hop", title=title, rows=rows, notes=NOTES)


def _kinds() -> Iterator[Kind]:
    own = "postroom.actors.worker:send"
    line = replaced("worker", own, "benchmarks.hop_worker:product")
    yield Kind(name="Postroom", line=line, broker=EnqueueBroker)
    yield Kind(
        name="Dramatiq", line=_STOCK, broker=_stock, gap_s=LONG_GAP_S, share=1 / FEWER
    )
    quick = f"env dramatiq_worker_timeout=20 {_STOCK}"
    yield Kind(name="Dramatiq, 20 ms", line=quick, broker=_stock)


def _stock(client: redis.Redis) -> RedisBroker:
    return RedisBroker(client=client, middleware=[])


def _row(
    stack: Stack,
    client: redis.Redis,
    kind: Kind,
    size: Size,
    rates: Mapping[str, list[float]],
) -> dict[str, Cell]:
    client.flushall()
    stack.run("worker", kind.line, WORKER_THREADS=_THREADS, WORKER_PROCESSES="1")
    try:
        _send(stack, client, replace(kind, gap_s=GAP_S), WARM_UP)
        before = commands(client)
        cores = stack.idle(size.idle_s)
        idle_per_s = (commands(client) - before) / size.idle_s
        waits = _send(stack, client, kind, max(2, round(size.hops * kind.share)))
    finally:
        stack.kill("worker")
    stock = rates["Dramatiq"]
    ratios = [own / theirs for own, theirs in zip(rates[kind.name], stock, strict=True)]
    return {
        "broker": kind.name,
        "messages": len(waits),
        "p50 ms": percentile(waits, 50),
        "p99 ms": percentile(waits, 99),
        "idle Redis commands/s": idle_per_s,
        "idle CPU, %": cores["worker"] * 100,
        "enqueued/s": statistics.median(rates[kind.name]),
        "enqueued : Dramatiq": statistics.median(ratios),
    }


def _send(stack: Stack, client: redis.Redis, kind: Kind, count: int) -> list[float]:
    """Enqueue messages one by one; return the waits of all, in ms, in order."""
    draw, broker = random.Random(7), kind.broker(client)
    client.delete(REACHED)
    for _ in range(count):
        time.sleep(draw.uniform(*kind.gap_s))
        broker.enqueue(message(time.time()))
    stack.wait_until(lambda: client.llen(REACHED) >= count, "all hops")
    noted = (line.split() for line in client.lrange(REACHED, 0, -1))
    return sorted((float(reached) - float(began)) * 1000 for began, reached in noted)


def _enqueue_rates(
    client: redis.Redis, kinds: list[Kind], size: Size
) -> dict[str, list[float]]:
    """Return how many messages a second each enqueues, by rounds."""
    rates: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for number in range(size.rounds * MORE_ROUNDS):
        for kind in kinds if number % 2 else reversed(kinds):
            client.flushall()
            rates[kind.name].append(_rate(kind.broker(client), size.enqueued))
    client.flushall()
    return rates


def _rate(broker: RedisBroker, count: int) -> float:
    broker.enqueue(_hint())  # loads the script
    began = time.perf_counter()
    for _ in range(count):
        broker.enqueue(_hint())
    return count / (time.perf_counter() - began)


def _hint() -> Message[None]:
    """Return a message with what the product's scripts look at."""
    return Message(
        queue_name=QUEUE,
        actor_name=QUEUE,
        args=({"owner": "default", "email_id": "65f000000000000000000001"},),
        kwargs={},
        options={},
    )
