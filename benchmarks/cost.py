"""CPU of each process for one email from POST to `sent`, and their memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import client, processes
from benchmarks.client import Order
from benchmarks.size import Size
from benchmarks.stack import ALL_LINES, EMAIL, Stack, Store, per_email_ms
from benchmarks.table import Cell, Table

CPU_NOTES = """
So many emails posted over 16 connections and sent by a provider that answers at once,
with the processes as shipped; CPU of each tree of processes, divided by the emails.
"idle" is what it uses while nothing happens, in percent of one core. That is in the
first figure too; "less idle" is without so much of it as belongs to the time, which is
too much where a busy process no longer polls: the truth lies between the two.
"""

MEMORY_NOTES = """
Each line of the Procfile with all its processes, before the first email and after the
last one of the table above; PSS divides what processes share.
"""


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the tables of CPU and of memory of one store."""
    with Stack(folder, store) as stack:
        stack.start(*ALL_LINES)
        stack.wait_until_ready()
        at_first = {name: processes.memory(pid) for name, pid in stack.pids.items()}
        _send(stack, 100)
        idle = stack.idle(size.idle_s)
        before, began = stack.cpus_s(), time.monotonic()
        _send(stack, size.emails)
        spent = per_email_ms(before, stack.cpus_s(), size.emails)
        took_ms = (time.monotonic() - began) * 1000 / size.emails
        at_last = {name: processes.memory(pid) for name, pid in stack.pids.items()}
    title = f"CPU of one email, {store} store ({size.emails} emails)"
    own = [name for name in ALL_LINES if name in spent]
    groups = {name: [name] for name in spent} | {"all of the Procfile": own}
    rows: list[dict[str, Cell]] = []
    for group, names in groups.items():
        ms, cores = (sum(of[name] for name in names) for of in (spent, idle))
        less = max(0.0, ms - cores * took_ms)
        row = {"ms an email": ms, "less idle": less, "idle, %": cores * 100}
        rows.append({"process": group, **row})
    yield Table(part="cost", title=title, rows=rows, notes=CPU_NOTES)
    yield Table(
        part="cost",
        title=f"Memory, {store} store",
        rows=[
            {
                "process": name,
                "processes": found.processes,
                "RSS MB at first": at_first[name].rss_mb,
                "PSS MB at first": at_first[name].pss_mb,
                "RSS MB": found.rss_mb,
                "PSS MB": found.pss_mb,
            }
            for name, found in at_last.items()
            if name != "provider"
        ],
        notes=MEMORY_NOTES,
    )


def _send(stack: Stack, count: int) -> None:
    """Post emails, and wait until the provider has them and they are recorded."""
    stack.provider.forget()
    order = Order(
        port=stack.port,
        path="/api/emails",
        headers=stack.headers,
        body=json.dumps(EMAIL),
        connections=16,
        count=count,
    )
    client.run(order).only(201)
    stack.wait_for_taken(count)
    stack.wait_until_settled()
