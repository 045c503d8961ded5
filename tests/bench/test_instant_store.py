"""The instant store keeps what it is given, by the product's own store and intake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure

from benchmarks.instant_documents import Collection, matches, update
from benchmarks.stack import Store, store_server
from postroom.adapters.mongo_intake import MongoIntake
from postroom.adapters.mongo_store import Document, MongoStore, connect, database_of
from postroom.domain.email import State
from postroom.domain.idempotency import Receipt
from postroom.domain.lifecycle import claim, offered
from tests.builders import ALPHA, ID, NOW, POLICY, an_email, at, everything_set


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MongoClient[Document]]:
    with (
        store_server(tmp_path, Store.INSTANT) as server,
        connect(server.url) as client,
    ):
        yield client


def test_an_email_comes_back_as_it_was_stored(client: MongoClient[Document]) -> None:
    store = MongoStore(database_of(client))
    store.ensure_indexes()
    email = everything_set()

    store.insert(email)

    assert store.load(email.email_id) == email


def test_only_one_of_two_claims_is_written(client: MongoClient[Document]) -> None:
    store = MongoStore(database_of(client))
    email = an_email()
    store.insert(email)
    one, other = (
        claim(email, provider=ALPHA, attempt_id=name, now=NOW, policy=POLICY)
        for name in ("one", "other")
    )

    written = [store.apply(one), store.apply(other)]

    assert written == [True, False]
    assert store.load(ID) == one.after


def test_what_is_due_is_found_earliest_first(client: MongoClient[Document]) -> None:
    store = MongoStore(database_of(client))
    for number, due_s in enumerate((30, 10, 20, 99)):
        store.insert(an_email(email_id=f"{number:024x}", due_at=at(due_s)))
    store.insert(an_email(State.SENT, email_id=f"{9:024x}"))

    found = store.due(at(30), limit=2)

    assert [email.due_at for email in found] == [at(10), at(20)]


def test_a_slice_of_a_backlog_moves_on_with_what_is_due_later(
    client: MongoClient[Document],
) -> None:
    store = MongoStore(database_of(client))
    emails = [an_email(email_id=f"{n:024x}", due_at=at(n)) for n in range(4)]
    for email in emails:
        store.insert(email)

    store.apply_all([offered(email, now=at(5), policy=POLICY) for email in emails[:2]])
    found = store.due(at(99), limit=3)

    assert [email.email_id[-1] for email in found] == ["2", "3", "0"]


def test_a_cursor_goes_on_after_its_first_batch(client: MongoClient[Document]) -> None:
    things = database_of(client)["things"]
    things.insert_many([{"_id": number} for number in range(5)])

    found = [each["_id"] for each in things.find(batch_size=2).sort("_id", -1)]

    assert found == [4, 3, 2, 1, 0]


def test_a_batch_and_its_receipt_are_stored(client: MongoClient[Document]) -> None:
    intake = MongoIntake(database_of(client))
    emails = [an_email(email_id=f"{number:024x}") for number in range(3)]
    receipt = Receipt.of(emails, [], at=NOW, name="a key", fingerprint="f")

    intake.insert_together(emails, receipt)

    assert intake.recall("a key") == receipt
    assert MongoStore(database_of(client)).load(emails[2].email_id) == emails[2]


def test_an_id_is_taken_once(client: MongoClient[Document]) -> None:
    things = database_of(client)["things"]
    things.insert_one({"_id": 1})

    with pytest.raises(DuplicateKeyError):
        things.insert_one({"_id": 1})


def test_an_unknown_command_is_refused(client: MongoClient[Document]) -> None:
    with pytest.raises(OperationFailure, match="no such command"):
        database_of(client).command("mapReduce")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"state": {"$in": ["queued", "sent"]}}, True),
        ({"state": {"$ne": "queued"}}, False),
        ({"gone": None}, True),
        ({"gone": {"$exists": True}}, False),
        ({"gone": {"$lte": NOW}}, False),
        ({"due_at": {"$lte": NOW, "$gt": NOW - timedelta(1)}}, True),
        ({"labels": "tag:a"}, True),
        ({"recipients.0.state": "pending"}, True),
        ({"recipients.1.state": "pending"}, False),
        ({"$or": [{"state": "sent"}, {"fence": 1}]}, True),
        ({"$and": [{"state": "queued"}, {"fence": 2}]}, False),
    ],
)
def test_a_query_fits_or_not(query: dict[str, object], fits: bool) -> None:
    document = {
        "state": "queued",
        "fence": 1,
        "due_at": NOW,
        "labels": ["tag:a", "tag:b"],
        "recipients": [{"state": "pending"}],
    }

    assert matches(document, query) is fits


def test_an_operator_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        matches({"a": 1}, {"a": {"$regex": "x"}})


def test_an_update_reaches_into_lists() -> None:
    document: Document = {"_id": 1, "due_at": NOW, "attempts": [], "told": 1}

    update(
        document,
        {
            "$set": {"attempts.0": {"no": 1}, "a.b": 2},
            "$unset": {"due_at": ""},
            "$inc": {"told": 1},
            "$max": {"last": 5},
            "$setOnInsert": {"hour": 1},
        },
        is_new=False,
    )

    assert document == {
        "_id": 1,
        "attempts": [{"no": 1}],
        "a": {"b": 2},
        "told": 2,
        "last": 5,
    }


def test_deletes_and_upserts_are_found_or_not() -> None:
    collection = Collection()
    order = {"q": {"_id": "x"}, "u": {"$setOnInsert": {"due_at": 1}}, "upsert": True}

    assert collection.update(order) == (0, "x")
    assert collection.update(order) == (1, None)
    assert list(collection.find({"due_at": {"$lte": 1}})) == [{"_id": "x", "due_at": 1}]
    assert collection.delete({"q": {"_id": "x"}, "limit": 1}) == 1
    assert list(collection.find({"due_at": {"$lte": 1}})) == []
