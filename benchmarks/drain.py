"""How fast a backlog goes out, as a share of what the threads could do."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.size import Size
from benchmarks.stack import Stack, Store, per_email_ms
from benchmarks.table import Cell, Table

NOTES = """
A backlog is accepted while router and worker stand still; then they go on, and every
email takes its way through the router to one provider. The rate is that of the calls
between the first and the last tenth, by the provider's clock. "ideal" is processes x
threads / delay; "share" is of that. "cores a worker" is how much of one each process of
the worker used: near 1 it could do no more; well below 1 with a small share, others had
the cores. CPU is of the whole drain.
"""

#: What is looked at of a drain: without its beginning and its end.
_FIRST, _LAST = 0.1, 0.9

#: A rate that a worker process does not exceed, for the size of a backlog.
_FASTEST_PER_S = 600.0

_SENDING = ("worker", "router")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many processes, and threads in each."""

    processes: int
    threads: int

    def ideal(self, delay_ms: int) -> float | None:
        """Return the calls a second that a delay leaves, or ``None`` without one."""
        at_once = self.processes * self.threads
        return at_once * 1000 / delay_ms if delay_ms else None


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    rows: list[dict[str, Cell]] = []
    with Stack(folder, store) as stack:
        stack.start("web", "scheduler")
        for processes, threads in size.workers:
            workers = Workers(processes=processes, threads=threads)
            stack.start(
                *_SENDING, WORKER_PROCESSES=str(processes), WORKER_THREADS=str(threads)
            )
            stack.wait_until_ready()
            _warm_up(stack, workers)
            rows += (_drain(stack, size, workers, ms) for ms in size.delays_ms)
            stack.kill(*_SENDING)
    yield Table(
        part="drain", title=f"Drain of a backlog, {store} store", rows=rows, notes=NOTES
    )


def _warm_up(stack: Stack, workers: Workers) -> None:
    """Let every thread open its connections."""
    count = 2 * workers.processes * workers.threads
    stack.provider.delay(20)
    stack.provider.forget()
    stack.backlog(count)
    stack.wait_for_taken(count)
    stack.wait_until_settled()


def _drain(
    stack: Stack, size: Size, workers: Workers, delay_ms: int
) -> dict[str, Cell]:
    ideal = workers.ideal(delay_ms)
    count = _count(size, workers, ideal)
    rate, spent = drained(stack, count=count, delay_ms=delay_ms, sending=_SENDING)
    return {
        "processes x threads": f"{workers.processes} x {workers.threads}",
        "delay ms": delay_ms,
        "emails": count,
        "emails/s": rate,
        "ideal": ideal,
        "share": None if ideal is None else rate / ideal,
        "cores a worker": rate * spent["worker"] / 1000 / workers.processes,
        "worker CPU ms": spent["worker"],
        "router CPU ms": spent["router"],
        "store CPU ms": spent["store"],
        "Redis CPU ms": spent["redis"],
    }


def drained(
    stack: Stack, *, count: int, delay_ms: int, sending: tuple[str, ...]
) -> tuple[float, Mapping[str, float]]:
    """Let a backlog go out; return calls a second, and CPU of an email by process.

    Args:
        stack: Whose processes run.
        count: Of the emails.
        delay_ms: Of the provider.
        sending: All processes that take part: they stand still until it is there.
    """
    stack.provider.delay(delay_ms)
    stack.provider.forget()
    stack.signal(signal.SIGSTOP, *sending)
    try:
        stack.backlog(count)
        before = stack.cpus_s()
    finally:
        stack.signal(signal.SIGCONT, *sending)
    taken = sorted(at for _, at in stack.wait_for_taken(count))
    stack.wait_until_settled()
    spent = per_email_ms(before, stack.cpus_s(), count)
    first, last = int(count * _FIRST), int(count * _LAST)
    return (last - first) / max(taken[last] - taken[first], 0.001), spent


def _count(size: Size, workers: Workers, ideal: float | None) -> int:
    """Return how many emails keep these workers busy for the time of a drain."""
    fastest = _FASTEST_PER_S * workers.processes
    wanted = min(ideal or fastest, fastest) * size.drain_s
    return max(20, min(size.drained, round(wanted)))
