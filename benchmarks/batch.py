"""A batch of a hundred emails against a hundred single POSTs and a plain bulk load."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId

from benchmarks import client, processes
from benchmarks.client import Order
from benchmarks.size import Size
from benchmarks.stack import EMAIL, Stack, Store
from benchmarks.table import Cell, Table
from postroom.adapters.mongo_store import connect, database_of, durable

NOTES = """
Emails a second and CPU of the web processes for one email; each kind in turn, medians
of the rounds, ratios to the single POSTs and to the bulk load of the same round. "bulk
load" is `insert_many` of a hundred such documents, with the same indexes and write
concern and from one thread: what the store itself takes.
"""

#: Emails in one batch, the most that the API takes.
BATCH = 100

#: Keep-alive connections of the client.
CONNECTIONS = 4


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    found: dict[str, list[tuple[float, float]]] = {
        "single": [],
        "batch": [],
        "bulk": [],
    }
    with Stack(folder, store) as stack:
        stack.start("web")
        stack.wait_until_ready()
        _posts(stack, EMAIL, 50)
        document = _document(stack)
        for _ in range(size.rounds):
            emails = size.batches * BATCH
            found["single"].append(_posts(stack, EMAIL, emails // 4))
            found["batch"].append(_posts(stack, [EMAIL] * BATCH, size.batches))
            found["bulk"].append((_bulk(stack, document, size.batches), 0.0))
    names = {"single": "single POST", "batch": "batch of 100", "bulk": "bulk load"}
    rows: list[dict[str, Cell]] = [
        {
            "what": names[kind],
            "emails/s": statistics.median(rate for rate, _ in rounds),
            "CPU ms": statistics.median(ms for _, ms in rounds) or None,
            "x single": _ratio(rounds, found["single"]),
            "x bulk": _ratio(rounds, found["bulk"]),
        }
        for kind, rounds in found.items()
    ]
    title = f"Batch, {store} store ({CONNECTIONS} connections)"
    yield Table(part="batch", title=title, rows=rows, notes=NOTES)


def _posts(stack: Stack, what: object, count: int) -> tuple[float, float]:
    """Post so many; return emails a second, and CPU of the web for one, in ms."""
    is_batch = isinstance(what, list)
    order = Order(
        port=stack.port,
        path="/api/emails/batch" if is_batch else "/api/emails",
        headers=stack.headers,
        body=json.dumps(what),
        connections=CONNECTIONS,
        count=count,
    )
    web = stack.pids["web"]
    before = processes.cpu_s(web)
    answers = client.run(order)
    answers.only(200 if is_batch else 201)
    emails = answers.requests * (BATCH if is_batch else 1)
    spent_ms = (processes.cpu_s(web) - before) * 1000
    per_s = answers.per_s * (BATCH if is_batch else 1)
    return per_s, spent_ms / emails


def _document(stack: Stack) -> dict[str, Any]:
    """Return an email as it is stored."""
    email_id = stack.request("/api/emails", EMAIL)["id"]
    with connect(stack.mongodb_url) as mongodb:
        found = database_of(mongodb)["emails"].find_one({"_id": ObjectId(email_id)})
    assert found is not None
    return found


def _bulk(stack: Stack, document: dict[str, Any], batches: int) -> float:
    """Return documents a second of plain inserts."""
    with connect(stack.mongodb_url) as mongodb:
        emails = durable(database_of(mongodb))["emails"]
        emails.find_one({"_id": document["_id"]})
        made = [
            [document | {"_id": ObjectId()} for _ in range(BATCH)]
            for _ in range(batches)
        ]
        began = time.perf_counter()
        for each in made:
            emails.insert_many(each)
        return batches * BATCH / (time.perf_counter() - began)


def _ratio(
    rounds: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]
) -> float:
    return statistics.median(
        rate / other for (rate, _), (other, _) in zip(rounds, others, strict=True)
    )
