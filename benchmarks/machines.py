"""What a second machine adds: two sets of worker and router on the same stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.drain import drained
from benchmarks.size import Size
from benchmarks.stack import ROOT, Stack, Store
from benchmarks.table import Cell, Table
from postroom.cli import procfile

NOTES = """
Each set is a `worker` and a `router` of their own, as another machine would start them:
they share MongoDB and Redis and know nothing of each other. So few threads that two
cores are enough for all of it, and the provider's delay is what bounds the rate. Rates
as in the drain of a backlog; medians over the rounds.
"""

#: Threads of each set: few enough that two sets do not need two whole cores.
THREADS = 8

DELAY_MS = 200

_LINES = ("worker", "router")


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    lines = procfile.read(ROOT / "Procfile")
    rows: list[dict[str, Cell]] = []
    sending: tuple[str, ...] = ()
    with Stack(folder, store) as stack:
        stack.start("web", "scheduler")
        for sets in (1, 2):
            for name in _LINES:
                stack.run(f"{name} {sets}", lines[name], WORKER_THREADS=f"{THREADS}")
                sending += (f"{name} {sets}",)
            stack.wait_until_ready()
            rows.append(_row(stack, size, sets, sending))
            rows[-1]["of one set"] = _ratio(rows[-1], rows[0])
    yield Table(
        part="machines", title=f"Sets of workers, {store} store", rows=rows, notes=NOTES
    )


def _row(
    stack: Stack, size: Size, sets: int, sending: tuple[str, ...]
) -> dict[str, Cell]:
    ideal = sets * THREADS * 1000 / DELAY_MS
    count = max(20, min(size.drained, round(ideal * size.drain_s)))
    drained(stack, count=2 * sets * THREADS, delay_ms=20, sending=sending)  # connects
    rates = []
    for _ in range(size.rounds):
        rate, spent = drained(stack, count=count, delay_ms=DELAY_MS, sending=sending)
        rates.append(rate)
    rate = sorted(rates)[len(rates) // 2]
    return {
        "sets": sets,
        "threads": sets * THREADS,
        "emails/s": rate,
        "share of threads / delay": rate / ideal,
        "CPU ms an email": sum(spent[name] for name in sending),
    }


def _ratio(row: dict[str, Cell], first: dict[str, Cell]) -> float:
    mine, one = row["emails/s"], first["emails/s"]
    assert isinstance(mine, float)
    assert isinstance(one, float)
    return mine / one
