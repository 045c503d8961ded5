"""POST /api/emails next to the bare stack: requests a second, waits, CPU."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import client, processes
from benchmarks.client import Answers, Order
from benchmarks.size import Size
from benchmarks.stack import EMAIL, Stack, Store
from benchmarks.table import Cell, Table

NOTES = """
Product and bare stack take turns in the same run, each as gunicorn's tree with the same
settings; figures are medians over the rounds, ratios medians of the ratios of each
round. The bare stack is `benchmarks/bare.py`: Falcon, one insert with the same write
concern, one Dramatiq message. The product also validates, authenticates by a stored
key, and logs. CPU is that of the web processes alone. Client, store and Redis run on
the same cores: requests/s are a floor.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One of the two, once.

    Attributes:
        cpu_ms: Of the web processes, a request.
        store_ms: Of the store, a request.
    """

    answers: Answers
    cpu_ms: float
    store_ms: float


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    with Stack(folder, store) as stack:
        stack.start("web")
        stack.start_bare()
        stack.wait_until_ready()
        stack.wait_for_port(stack.bare_port)
        for name in ("bare", "web"):  # each thread connects once
            _round(stack, name, _order(stack, name, 64, size.seconds))
        rows = [
            row
            for connections in size.connections
            for row in _rows(stack, size, connections)
        ]
    title = f"POST, {store} store"
    yield Table(part="post", title=title, rows=rows, notes=NOTES)


def _rows(stack: Stack, size: Size, connections: int) -> Iterator[dict[str, Cell]]:
    rounds: dict[str, list[Round]] = {"web": [], "bare": []}
    for number in range(size.rounds):
        # Whoever comes second finds a fuller store, so each does in turn.
        names = ("web", "bare") if number % 2 else ("bare", "web")
        for name in names:
            order = _order(stack, name, connections, size.seconds)
            rounds[name].append(_round(stack, name, order))
    pairs = list(zip(rounds["web"], rounds["bare"], strict=True))
    for name, shown in (("bare", "bare stack"), ("web", "Postroom")):
        yield {
            "connections": connections,
            "what": shown,
            **_figures(rounds[name]),
            "requests/s : bare": None
            if name == "bare"
            else _median(a.answers.per_s / b.answers.per_s for a, b in pairs),
            "CPU : bare": None
            if name == "bare"
            else _median(a.cpu_ms / b.cpu_ms for a, b in pairs if b.cpu_ms),
        }


def _figures(rounds: list[Round]) -> dict[str, Cell]:
    return {
        "requests/s": _median(each.answers.per_s for each in rounds),
        "p50 ms": _median(each.answers.p50_ms for each in rounds),
        "p99 ms": _median(each.answers.p99_ms for each in rounds),
        "CPU ms": _median(each.cpu_ms for each in rounds),
        "store CPU ms": _median(each.store_ms for each in rounds),
        "client CPU ms": _median(each.answers.cpu_ms for each in rounds),
    }


def _median(values: Iterator[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _order(stack: Stack, name: str, connections: int, seconds: float) -> Order:
    return Order(
        port=stack.port if name == "web" else stack.bare_port,
        path="/api/emails",
        headers=stack.headers,
        body=json.dumps(EMAIL),
        connections=connections,
        seconds=seconds,
        warm_s=min(0.3, seconds / 4),
    )


def _round(stack: Stack, name: str, order: Order) -> Round:
    pids = {each: stack.pids[each] for each in (name, "store")}
    before = processes.cpus_s(pids)
    answers = client.run(order).only(201)
    after = processes.cpus_s(pids)
    per_request = {
        each: (after[each] - before[each]) * 1000 / answers.requests for each in pids
    }
    return Round(
        answers=answers, cpu_ms=per_request[name], store_ms=per_request["store"]
    )
