"""POST, claim and sweep as the collection grows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from benchmarks import client
from benchmarks.client import Order, percentile
from benchmarks.size import Size
from benchmarks.stack import EMAIL, Stack, Store, per_email_ms
from benchmarks.table import Cell, Table
from postroom.actors import worker
from postroom.adapters.mongo_store import connect, database_of, durable
from postroom.adapters.wiring import Parts
from postroom.domain.lifecycle import claim

NOTES = """
The collection holds so many emails that were sent, as the service stores them and with
all its indexes. POST: over one connection, one at a time. Claim: an email is loaded and
claimed by a guarded write, as before each call. Sweep: one run of the recovery sweep,
with nothing due and with so many emails due. The ratios are to the smallest collection.
What the embedded store does with an index is not what MongoDB does: it sorts lists in
memory, so they are not here.
"""

#: Documents that are loaded in one command.
LOAD = 1000

#: Emails that were accepted so long ago are due, and not yet too old.
_AGE = timedelta(minutes=10)

Document = dict[str, Any]


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    with Stack(folder, store) as stack, stack.parts() as parts:
        stack.start("web", "worker", "router")
        stack.wait_until_ready()
        sent = _stored(stack, wait=True)
        stack.kill("worker", "router")
        with connect(stack.mongodb_url) as mongodb:
            emails = durable(database_of(mongodb))["emails"]
            desk = Desk(stack, parts, emails, size)
            rows = [desk.row(documents, sent) for documents in size.documents]
    yield Table(
        part="growth",
        title=f"Growth, {store} store",
        rows=[row | _ratios(row, rows[0]) for row in rows],
        notes=NOTES,
    )


def _stored(stack: Stack, *, wait: bool) -> Document:
    """Return a new email as it is stored, after it was sent if that is waited for."""
    email_id = stack.request("/api/emails", EMAIL)["id"]
    if wait:
        stack.wait_for_taken(1)
        stack.wait_until_settled()
    with connect(stack.mongodb_url) as mongodb:
        emails = database_of(mongodb)["emails"]
        found: Document | None = emails.find_one({"_id": ObjectId(email_id)})
    assert found is not None
    return found


class Desk:
    """Fills the collection and times what is done in it."""

    def __init__(
        self, stack: Stack, parts: Parts, emails: Collection[Document], size: Size
    ) -> None:
        self._stack = stack
        self._parts = parts
        self._emails = emails
        self._size = size
        self._now: datetime = parts.clock.now()
        self._stored = 1

    def row(self, documents: int, sent: Document) -> dict[str, Cell]:
        """Fill up to so many, and measure."""
        per_s = self._fill(documents, sent)
        posted, post_cpu = self._posts()
        claimed, claim_cpu = self._claims()
        few, many = self._size.grown // 2, 5 * self._size.grown
        return {
            "documents": documents,
            "loaded/s": per_s,
            "POST p50 ms": posted,
            "POST store CPU ms": post_cpu,
            "claim p50 ms": claimed,
            "claim store CPU ms": claim_cpu,
            "sweep of 0, ms": self._sweep(0),
            f"of {few}, ms": self._sweep(few),
            f"of {many}, ms": self._sweep(many),
        }

    def _fill(self, documents: int, sent: Document) -> float:
        began, missing = time.perf_counter(), documents - self._stored
        for start in range(self._stored, documents, LOAD):
            count = min(LOAD, documents - start)
            self._emails.insert_many(
                [self._older(sent, start + number) for number in range(count)],
                ordered=False,
            )
        self._stored = documents
        return missing / (time.perf_counter() - began)

    def _older(self, sent: Document, number: int) -> Document:
        """Return such an email of some time ago, to somebody else."""
        then = self._now - timedelta(minutes=1 + number)
        to = f"ada{number % 5000}@example.com"
        return sent | {
            "_id": _id_of(then, number),
            "recipients": [{**each, "addr_spec": to} for each in sent["recipients"]],
            "labels": [f"to:{to}", *sent["labels"][1:]],
            "created_at": then,
            "updated_at": then,
            "first_due_at": then,
            "sent_at": then,
            "final_at": then,
        }

    def _posts(self) -> tuple[float, float]:
        """Return the median time of a POST, and the store's CPU for it, in ms."""
        stack, count = self._stack, self._size.grown
        order = Order(
            port=stack.port,
            path="/api/emails",
            headers=stack.headers,
            body=json.dumps(EMAIL),
            count=count,
        )
        before = stack.cpus_s()
        answers = client.run(order).only(201)
        return answers.p50_ms, per_email_ms(before, stack.cpus_s(), count)["store"]

    def _claims(self) -> tuple[float, float]:
        """Claim what was posted; return the same two figures. Then it goes."""
        found = self._emails.find({"due_at": {"$gt": self._now}}, {"_id": 1})
        keys = [document["_id"] for document in found]
        before = self._stack.cpus_s()
        waits = sorted(self._claim(str(key)) for key in keys)
        spent = per_email_ms(before, self._stack.cpus_s(), len(keys))
        self._emails.delete_many({"_id": {"$in": keys}})
        return percentile(waits, 50) * 1000, spent["store"]

    def _claim(self, email_id: str) -> float:
        parts = self._parts
        began = time.perf_counter()
        email = parts.store.load(email_id)
        assert email is not None
        change = claim(
            email,
            provider=parts.names[0],
            attempt_id=parts.chance.attempt_id(),
            now=parts.clock.now(),
            policy=parts.settings.policy,
        )
        assert parts.store.apply(change)
        return time.perf_counter() - began

    def _sweep(self, due: int) -> float:
        """Return how long a sweep takes that finds so many due, in ms. Then they go."""
        keys = self._make_due(due)
        parts = self._parts
        parts.hints.remember()
        offer = worker._offer(parts)  # noqa: SLF001 - the router's own
        began = time.perf_counter()
        swept = offer()
        took = time.perf_counter() - began
        assert swept.offered == due, swept
        self._emails.delete_many({"_id": {"$in": keys}})
        return took * 1000

    def _make_due(self, count: int) -> list[ObjectId]:
        keys = [ObjectId() for _ in range(count)]
        if not keys:
            return keys
        then = self._parts.clock.now() - _AGE
        times = dict.fromkeys(
            ("created_at", "updated_at", "first_due_at", "not_before", "due_at"), then
        )
        queued = _stored(self._stack, wait=False)
        self._emails.delete_one({"_id": queued["_id"]})
        self._emails.insert_many([queued | times | {"_id": key} for key in keys])
        return keys


def _id_of(then: datetime, number: int) -> ObjectId:
    return ObjectId(ObjectId.from_datetime(then).binary[:4] + number.to_bytes(8, "big"))


def _ratios(row: dict[str, Cell], first: dict[str, Cell]) -> dict[str, Cell]:
    return {
        f"{name} x": _ratio(row[column], first[column])
        for name, column in (
            ("POST", "POST p50 ms"),
            ("POST CPU", "POST store CPU ms"),
            ("claim", "claim p50 ms"),
            ("claim CPU", "claim store CPU ms"),
        )
    }


def _ratio(value: Cell, first: Cell) -> float:
    assert isinstance(value, float)
    assert isinstance(first, float)
    return value / first if first else 0.0
