"""CPU of each process for one email from POST to `sent`, and their memory."""

from __future__ import annotations

import json
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
"idle" is what it uses while nothing happens, in percent of one core: it is in the other
figure too.
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
        before = stack.cpus_s()
        _send(stack, size.emails)
        spent = per_email_ms(before, stack.cpus_s(), size.emails)
        at_last = {name: processes.memory(pid) for name, pid in stack.pids.items()}
    title = f"CPU of one email, {store} store ({size.emails} emails)"
    rows: list[dict[str, Cell]] = [
        {"process": name, "ms an email": ms, "idle, %": idle[name] * 100}
        for name, ms in spent.items()
    ]
    own = [name for name in ALL_LINES if name in spent]
    rows.append(
        {
            "process": "all of the Procfile",
            "ms an email": sum(spent[name] for name in own),
            "idle, %": sum(idle[name] for name in own) * 100,
        }
    )
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
