"""MongoDB's filters admit what the guards admit, for what the model comes across.

Every write that a walk tries, taken or refused, is a stored email and a guard. Here
all of these guards meet all of these emails, as filters of a real server; and the
writes themselves are made there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from postroom.adapters.mongo_codec import to_document, to_filter
from postroom.adapters.mongo_store import MongoStore
from postroom.domain.change import Change, Guard
from postroom.domain.email import Delivery, Email
from tests.builders import ID
from tests.e2e.scale import IS_FULL
from tests.model.ports import Write
from tests.model.scenarios import walked

#: How many of each kind are compared.
SAMPLE = 2_000 if IS_FULL else 250

#: Walks that come across every kind of write.
WALKS = ("schedule", "operators", "parts", "short keys")


@cache
def all_writes() -> tuple[Write, ...]:
    """Return the writes of some walks, one of each (facts of the email, guard)."""
    found: dict[Any, Write] = {}
    for name in WALKS:
        for delivery in Delivery:
            for write in walked(name, delivery)[1]:
                key = (*_facts(write.stored), write.guard)
                found.setdefault(key, write)
    return tuple(found.values())


def _facts(email: Email) -> tuple[Any, ...]:
    """Return what a guard may look at."""
    times = email.not_before, email.due_at
    return email.state, email.fence, *times, email.pending, len(email.recipients)


def _some(writes: Sequence[Write]) -> list[Write]:
    """Draw some, always the same ones; as many that were refused as were taken."""
    draw = random.Random(4)  # noqa: S311 - which ones does not matter
    halves = ([w for w in writes if w.is_written is taken] for taken in (True, False))
    return [
        write
        for half in halves
        for write in draw.sample(half, min(len(half), SAMPLE // 2))
    ]


def test_the_filter_admits_what_the_guard_admits(
    mongo_database: Database[dict[str, Any]],
) -> None:
    writes = _some(all_writes())
    emails = {str(ObjectId()): write.stored for write in writes}
    guards = {write.guard for write in writes}
    collection = mongo_database["emails"]
    collection.insert_many(
        to_document(replace(email, email_id=key, content=None))
        for key, email in emails.items()
    )

    for guard in guards:
        query = to_filter(ID, guard)
        del query["_id"]
        found = {str(d["_id"]) for d in collection.find(query, {"_id": 1})}
        admitted = {key for key, email in emails.items() if guard.admits(email)}
        assert found == admitted, guard
    print(f"\n{len(guards)} guards on {len(emails)} emails")


def test_the_store_writes_what_the_model_writes(
    mongo_database: Database[dict[str, Any]],
) -> None:
    store = MongoStore(mongo_database)
    writes = _some(all_writes())

    for write in writes:
        key = str(ObjectId())
        before, after, stored = (
            replace(email, email_id=key)
            for email in (write.change.before, write.change.after, write.stored)
        )
        store.insert(stored)
        change = Change(guard=write.guard, before=before, after=after)

        # Equal writes of two processes are one to the store: no harm follows.
        assert store.apply(change) is (write.is_written or change.is_in(stored))
        # The sweep read it without its content, and leaves that alone.
        expected = replace(after, content=stored.content)
        assert store.load(key) == (expected if write.is_written else stored)
    print(f"\n{len(writes)} writes")


@pytest.mark.parametrize("is_written", [True, False])
def test_both_kinds_are_there(is_written: bool) -> None:
    assert sum(w.is_written is is_written for w in all_writes()) > 100


def test_every_part_of_a_guard_is_there() -> None:
    guards = {write.guard for write in all_writes()}

    for part in Guard.__dataclass_fields__:
        assert len({getattr(guard, part) for guard in guards}) > 1, part
