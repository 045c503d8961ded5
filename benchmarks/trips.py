"""Trips to MongoDB and Redis, and commands of Redis, that one email costs, by step."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.size import Size
from benchmarks.stack import ALL_LINES, EMAIL, Stack, Store
from benchmarks.table import Cell, Table
from benchmarks.wire import Monitor, Said, Server, Taps

NOTES = """
Emails one after the other through an idle service, each `sent` before the next. Counted
on the wire: a trip is a request while nothing else is on its way on its connection, so
a pipeline is one. Redis commands are all that Redis executes, scripts and what they
call included. What only asks for work and finds none is left out, and so is the rate at
which each command is heard while nothing happens; both are the last row. What many
emails share, like the ledger's line every two seconds, counts in parts.
"""

STEPS = {
    "web": "POST (web)",
    "router": "route (router)",
    "worker": "send (worker)",
    "scheduler": "scheduler",
}

#: Emails before the counting: by then scripts are loaded and connections open.
WARM_UP = 4

#: What is heard less often per email is not named, only counted.
LEAST = 0.05


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    with (
        Stack(folder, store) as stack,
        Monitor(stack.redis_url) as monitor,
        Taps(stack.mongodb_url, stack.redis_url) as taps,
    ):
        for name in ALL_LINES:
            stack.start(name, **taps.environ(name))
        stack.wait_until_ready()
        _send(stack, WARM_UP)
        began = time.monotonic()
        time.sleep(size.idle_s)
        turned = time.monotonic()
        _send(stack, size.counted)
        ended = time.monotonic()
        heard = list(taps.heard)
        time.sleep(0.2)  # what MONITOR tells comes a little later
        monitor.fill_in(heard)
        stack.kill(*ALL_LINES)
    idle = [said for said in heard if began <= said.at < turned]
    busy = [said for said in heard if turned <= said.at < ended]
    share = (ended - turned) / (turned - began)
    rows = list(_rows(idle, busy, share=share, count=size.counted))
    rows.append(_idle_row(idle, seconds=turned - began))
    yield Table(
        part="trips", title=f"Trips of one email, {store} store", rows=rows, notes=NOTES
    )


def _send(stack: Stack, count: int) -> None:
    """Send emails one after the other, until each is `sent`."""
    with stack.parts() as parts:
        for _ in range(count):
            email_id = stack.request("/api/emails", EMAIL)["id"]

            def is_sent(email_id: str = email_id) -> bool:
                email = parts.store.load(email_id)
                return email is not None and email.state.value == "sent"

            stack.wait_until(is_sent, f"{email_id} to be sent", every_s=0.02)


def _rows(
    idle: Sequence[Said], busy: Sequence[Said], *, share: float, count: int
) -> Iterator[dict[str, Cell]]:
    total: dict[str, float] = defaultdict(float)
    for owner, step in STEPS.items():
        mine = _Sums(said for said in busy if said.owner == owner)
        mine.subtract(_Sums(said for said in idle if said.owner == owner), share)
        figures = mine.figures(count)
        for name, figure in figures.items():
            total[name] += figure
        if any(round(each, 1) for each in figures.values()):
            yield {"step": step, **figures, "of these": mine.told(count)}
    yield {"step": "all", **total, "of these": ""}


def _idle_row(idle: Sequence[Said], *, seconds: float) -> dict[str, Cell]:
    trips = Counter(said.server for said in idle if said.is_trip)
    commands = sum(said.commands for said in idle if said.server is Server.REDIS)
    by_owner = Counter(
        said.owner for said in idle if said.is_trip and said.server is Server.REDIS
    )
    return {
        "step": "idle, a second",
        "MongoDB trips": trips[Server.MONGODB] / seconds,
        "Redis trips": trips[Server.REDIS] / seconds,
        "Redis commands": commands / seconds,
        "of these": ", ".join(
            f"{owner} {n / seconds:.0f}" for owner, n in by_owner.most_common()
        ),
    }


class _Sums:
    """Trips and commands by what they were."""

    def __init__(self, heard: Iterable[Said]) -> None:
        self._trips: dict[tuple[Server, str], float] = defaultdict(float)
        self._commands: dict[str, float] = defaultdict(float)
        for said in heard:
            if said.is_empty:
                continue
            self._trips[said.server, said.label] += said.is_trip
            if said.server is Server.REDIS:
                self._commands[said.label] += said.commands

    def subtract(self, idle: _Sums, share: float) -> None:
        """Take away what would have been heard in this time anyhow."""
        for key, trips in idle._trips.items():
            self._trips[key] = max(0.0, self._trips[key] - trips * share)
        for label, commands in idle._commands.items():
            left = self._commands[label] - commands * share
            self._commands[label] = max(0.0, left)

    def figures(self, count: int) -> dict[str, float]:
        """Return the sums for one email."""
        sums: dict[Server, float] = defaultdict(float)
        for (server, _), trips in self._trips.items():
            sums[server] += trips
        return {
            "MongoDB trips": sums[Server.MONGODB] / count,
            "Redis trips": sums[Server.REDIS] / count,
            "Redis commands": sum(self._commands.values()) / count,
        }

    def told(self, count: int) -> str:
        """Name what the trips were, with how many there are in one email."""
        named = sorted(self._trips.items(), key=lambda item: (item[0][0], -item[1]))
        return ", ".join(
            f"{label} {trips / count:.2g}"
            for (_, label), trips in named
            if trips / count >= LEAST
        )
