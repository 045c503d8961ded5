"""How soon an idle service has an email at its provider, and what idling costs."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.client import percentile
from benchmarks.size import Size
from benchmarks.stack import ALL_LINES, EMAIL, Stack, Store
from benchmarks.table import Table

NOTES = """
Emails one at a time, 50 to 150 ms apart, over one kept connection; from the first byte
of the request to the whole call at the provider, by one clock. "POST" is what the
client waits for its answer. Idle: Redis commands (those within scripts too) and CPU of
all processes of the Procfile and of Redis while nothing happens, one provider,
processes as shipped.
"""

#: Emails before the timing: by then all connections are open.
WARM_UP = 5

#: Between two emails, in seconds.
GAP_S = (0.05, 0.15)


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    with Stack(folder, store) as stack:
        stack.start(*ALL_LINES)
        stack.wait_until_ready()
        _post(stack, WARM_UP)
        stack.wait_for_taken(WARM_UP)
        with stack.redis() as client:
            before = commands(client)
            cores = stack.idle(size.idle_s)
            idle_per_s = (commands(client) - before) / size.idle_s
        stack.provider.forget()
        posted = _post(stack, size.picked_up)
        taken = dict(stack.wait_for_taken(size.picked_up))
    waits = sorted((taken[i] - began) * 1000 for i, (began, _) in posted.items())
    posts = sorted(took * 1000 for _, took in posted.values())
    yield Table(
        part="pickup",
        title=f"Idle pickup, {store} store ({size.picked_up} emails)",
        rows=[
            {
                "POST to provider p50 ms": percentile(waits, 50),
                "p99 ms": percentile(waits, 99),
                "POST p50 ms": percentile(posts, 50),
                "POST p99 ms": percentile(posts, 99),
                "idle Redis commands/s": idle_per_s,
                "idle CPU, %": sum(cores[name] for name in ALL_LINES) * 100,
                "idle Redis CPU, %": cores["redis"] * 100,
            }
        ],
        notes=NOTES,
    )


def commands(client: object) -> int:
    """Return how many commands Redis has executed, those within scripts too."""
    stats = client.info("commandstats")  # type: ignore[attr-defined]
    return sum(each["calls"] for each in stats.values())


def posted_slowly(stack: Stack) -> Generator[tuple[str, float, float], None, None]:
    """Post one email after the other; give the id, when it began, how long it took."""
    draw = random.Random(7)
    body = json.dumps(EMAIL)
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port)) as line:
        while True:
            time.sleep(draw.uniform(*GAP_S))
            began = time.time()
            line.request("POST", "/api/emails", body, stack.headers)
            answer = json.load(line.getresponse())
            yield answer["id"], began, time.time() - began


def _post(stack: Stack, count: int) -> dict[str, tuple[float, float]]:
    """Post emails one by one; return when each began, and how long it took, by id."""
    with closing(posted_slowly(stack)) as posted:
        return {id_: (began, took) for id_, began, took in islice(posted, count)}
