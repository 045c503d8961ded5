"""POST, claim and sweep as the collection grows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Self

from bson import ObjectId

from benchmarks import client
from benchmarks.client import Order, percentile
from benchmarks.size import Size
from benchmarks.stack import EMAIL, ROOT, Stack, Store, per_email_ms
from benchmarks.stored import LOAD, Document, make_due, queued_one, sent_one
from benchmarks.table import Cell, Table
from postroom.actors import worker
from postroom.adapters.mongo_store import MongoStore, connect, database_of, durable
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import build
from postroom.cli import procfile
from postroom.domain.lifecycle import claim
from tests.ports import a_port

NOTES = """
Each collection holds so many emails that were sent, as the service stores them and with
all its indexes. They are databases of one server, each with a web process of its own,
and take turns at each of these things, in rounds. POST: over one connection, one at a
time. Claim: an email is loaded and claimed by a guarded write, as before each call.
Sweep: one run of the recovery sweep, with nothing due and with so many emails due.
Times are medians over the rounds, CPU is that of all rounds. The ratios are to the
smallest collection, of times the medians of those of each round; "sweep x" is of the
largest sweep. What the embedded store does with an index is not what MongoDB does: it
sorts lists in memory, so they are not here.
"""

#: Emails that were accepted so long ago are due, and not yet too old.
_AGE = timedelta(minutes=10)

#: Into how many each of the size's rounds is shared out: the shorter they are, the more
#: alike are the minutes of those that are compared.
_SHARE = 2

#: Operations before the first round: by then all connections are open.
_WARM_UP = 5

_CPU = "store CPU ms"

#: What came of one turn of a desk, by column.
Turn = dict[str, float]


def measure(folder: Path, size: Size, store: Store) -> Iterator[Table]:
    """Yield the table of one store."""
    with Stack(folder, store) as stack, ExitStack() as stop:
        sent, queued = _samples(stack)
        desks = [
            stop.enter_context(Desk(stack, documents, like=queued))
            for documents in size.documents
        ]
        loaded = [desk.fill(sent) for desk in desks]
        _round(desks, _WARM_UP, 0)
        count = max(1, size.grown // (_SHARE * size.rounds))
        rounds = [
            _round(desks, count, number) for number in range(_SHARE * size.rounds)
        ]
    rows = [
        {"documents": documents, "loaded/s": per_s} | _row(rounds, at)
        for at, (documents, per_s) in enumerate(
            zip(size.documents, loaded, strict=True)
        )
    ]
    yield Table(part="growth", title=f"Growth, {store} store", rows=rows, notes=NOTES)


def _samples(stack: Stack) -> tuple[Document, Document]:
    """Return an email that was sent and one that is queued, as they are stored."""
    stack.start("web", "worker", "router")
    stack.wait_until_ready()
    sent = sent_one(stack)
    stack.kill("worker", "router")
    queued = queued_one(stack)
    stack.kill("web")
    return sent, queued


def _round(desks: Sequence[Desk], count: int, number: int) -> list[Turn]:
    """Do each thing on all of them in turn, every other time in the opposite order."""
    order = range(len(desks))[:: 1 if number % 2 else -1]
    turns: list[Turn] = [{} for _ in desks]
    for act in (Desk.posts, Desk.claims, Desk.sweeps):
        for at in order:
            turns[at] |= act(desks[at], count)
    return turns


def _row(rounds: Sequence[Sequence[Turn]], at: int) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        name: _typical(name, [turns[at][name] for turns in rounds])
        for name in rounds[0][at]
    }
    largest = list(rounds[0][at])[-1]
    for name, short in (
        ("POST p50 ms", "POST x"),
        (f"POST {_CPU}", "POST CPU x"),
        ("claim p50 ms", "claim x"),
        (f"claim {_CPU}", "claim CPU x"),
        (largest, "sweep x"),
    ):
        pairs = [(turns[at][name], turns[0][name]) for turns in rounds]
        row[short] = _times(name, pairs)
    return row


def _typical(name: str, values: Sequence[float]) -> float:
    """Return a median; a round's CPU is so little that its unit of 10 ms shows."""
    return fmean(values) if name.endswith(_CPU) else median(values)


def _times(name: str, pairs: Sequence[tuple[float, float]]) -> float:
    if name.endswith(_CPU):
        mine, first = (sum(values) for values in zip(*pairs, strict=True))
        return mine / first if first else 0.0
    return median(mine / first for mine, first in pairs)


class Desk:
    """One collection, in a database of its own, and what is timed in it."""

    def __init__(self, stack: Stack, documents: int, *, like: Document) -> None:
        self._stack = stack
        self._documents = documents
        self._like = like
        self._port = a_port()
        name = f"postroom_{documents}"
        self._environ = {
            "PORT": str(self._port),
            "MONGODB_URI": stack.mongodb_url.replace("/postroom", f"/{name}", 1),
        }
        self._open = ExitStack()

    def __enter__(self) -> Self:
        environ, stack = self._environ, self._stack
        mongodb = self._open.enter_context(connect(environ["MONGODB_URI"]))
        database = durable(database_of(mongodb))
        MongoStore(database).ensure_indexes()
        keys = mongodb["postroom"]["api_keys"].find()
        database["api_keys"].insert_many(list(keys))
        self._emails = database["emails"]
        parts = build(Settings.from_env(stack.environ | environ))
        self._parts = self._open.enter_context(closing(parts))
        self._now: datetime = parts.clock.now()
        line = procfile.read(ROOT / "Procfile")["web"]
        stack.run(f"web {self._documents}", line, **environ)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def fill(self, sent: Document) -> float:
        """Load all documents; return how many a second."""
        began = time.perf_counter()
        for start in range(0, self._documents, LOAD):
            count = min(LOAD, self._documents - start)
            self._emails.insert_many(
                [self._older(sent, start + number) for number in range(count)],
                ordered=False,
            )
        took = time.perf_counter() - began
        self._stack.wait_for_port(self._port)
        return self._documents / took

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

    def posts(self, count: int) -> Turn:
        """Post so many, one after the other."""
        order = Order(
            port=self._port,
            path="/api/emails",
            headers=self._stack.headers,
            body=json.dumps(EMAIL),
            count=count,
        )
        before = self._stack.cpus_s()
        answers = client.run(order).only(201)
        spent = per_email_ms(before, self._stack.cpus_s(), count)
        return {"POST p50 ms": answers.p50_ms, f"POST {_CPU}": spent["store"]}

    def claims(self, count: int) -> Turn:
        """Claim what was posted. Then it goes."""
        found = self._emails.find({"due_at": {"$gt": self._now}}, {"_id": 1})
        keys = [document["_id"] for document in found]
        assert len(keys) == count, keys
        before = self._stack.cpus_s()
        waits = sorted(self._claim(str(key)) for key in keys)
        spent = per_email_ms(before, self._stack.cpus_s(), count)
        self._emails.delete_many({"_id": {"$in": keys}})
        p50_ms = percentile(waits, 50) * 1000
        return {"claim p50 ms": p50_ms, f"claim {_CPU}": spent["store"]}

    def sweeps(self, count: int) -> Turn:
        """Sweep with nothing due, and with few and many that are."""
        few, many = max(1, count // 2), 5 * count
        return {
            "sweep of 0, ms": self._sweep(0),
            f"of {few}, ms": self._sweep(few),
            f"of {many}, ms": self._sweep(many),
        }

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
        parts = self._parts
        since = parts.clock.now() - _AGE
        keys = make_due(self._emails, self._like, count=due, since=since)
        parts.hints.remember()
        offer = worker._offer(parts)  # noqa: SLF001 - the router's own
        began = time.perf_counter()
        swept = offer()
        took = time.perf_counter() - began
        assert swept.offered == due, swept
        self._emails.delete_many({"_id": {"$in": keys}})
        return took * 1000


def _id_of(then: datetime, number: int) -> ObjectId:
    return ObjectId(ObjectId.from_datetime(then).binary[:4] + number.to_bytes(8, "big"))
