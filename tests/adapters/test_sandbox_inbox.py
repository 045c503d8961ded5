"""The sandbox's inbox: the same contract for the collection and for the memory."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from postroom.adapters import sandbox_inbox
from postroom.adapters.sandbox_inbox import KEY_TTL, MemoryInbox, MongoInbox
from postroom.domain.errors import StoreUnavailableError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

#: Less than there is room for otherwise, so that it is soon full.
KEPT = 20
TRIM_EVERY = 5

Inbox = MongoInbox | MemoryInbox


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_inbox, "KEPT", KEPT)
    monkeypatch.setattr(sandbox_inbox, "TRIM_EVERY", TRIM_EVERY)


@pytest.fixture(params=["memory", "mongo"])
def inbox(request: pytest.FixtureRequest) -> Iterator[Inbox]:
    if request.param == "memory":
        yield MemoryInbox()
    else:
        yield MongoInbox(request.getfixturevalue("mongo_database"))


def a_document(number: int) -> dict[str, Any]:
    return {"email_id": str(number), "at": NOW + timedelta(seconds=number)}


def test_the_newest_come_first_whatever_the_order_of_arrival(inbox: Inbox) -> None:
    for number in (2, 1, 3):
        inbox.keep(a_document(number))

    assert inbox.latest(2) == [a_document(3), a_document(2)]


def test_an_empty_inbox_shows_nothing(inbox: Inbox) -> None:
    assert inbox.latest(10) == []


def test_what_is_kept_is_not_touched(inbox: Inbox) -> None:
    document = a_document(1)

    inbox.keep(document)

    assert document == a_document(1)


def test_old_emails_make_room(inbox: Inbox) -> None:
    for number in range(KEPT + TRIM_EVERY):
        inbox.keep(a_document(number))

    found = inbox.latest(KEPT * 2)
    assert len(found) == KEPT
    assert found[-1] == a_document(TRIM_EVERY)


def test_a_key_is_kept_once_and_an_email_without_one_always(inbox: Inbox) -> None:
    for number, key in enumerate(("a", "a", "b", None, None)):
        inbox.keep(a_document(number), key=key)

    assert [found["email_id"] for found in inbox.latest(9)] == ["4", "3", "2", "0"]


def test_a_key_is_remembered_when_its_email_has_made_room(inbox: Inbox) -> None:
    inbox.keep(a_document(0), key="first")
    for number in range(1, KEPT + TRIM_EVERY):
        inbox.keep(a_document(number), key=str(number))

    inbox.keep(a_document(9999), key="first")

    assert inbox.latest(1) == [a_document(KEPT + TRIM_EVERY - 1)]


def test_a_key_is_kept_once_by_processes_that_trim_at_the_same_time(
    mongo_database: Database[dict[str, Any]],
) -> None:
    inboxes = [MongoInbox(mongo_database) for _ in range(2)]
    for number in range(KEPT + TRIM_EVERY - 1):
        for inbox in inboxes:
            inbox.keep(a_document(number), key=str(number))
    barrier = threading.Barrier(2)

    def keep(inbox: MongoInbox) -> None:
        barrier.wait(timeout=10)
        inbox.keep(a_document(KEPT + TRIM_EVERY - 1), key="last")
        inbox.keep(a_document(0), key="0")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(keep, inboxes))

    found = [document["email_id"] for document in inboxes[0].latest(KEPT * 2)]
    assert len(found) == len(set(found)) == KEPT
    assert "0" not in found


def test_a_key_is_forgotten_after_its_time(
    mongo_database: Database[dict[str, Any]],
) -> None:
    inbox = MongoInbox(mongo_database)
    mongo_database["sandbox_keys"].insert_one({"_id": "old", "at": NOW - 2 * KEY_TTL})

    for number in range(TRIM_EVERY):
        inbox.keep(a_document(number))

    assert mongo_database["sandbox_keys"].count_documents({}) == 0


def test_old_emails_are_gone_from_the_collection(
    mongo_database: Database[dict[str, Any]],
) -> None:
    inbox = MongoInbox(mongo_database)

    for number in range(KEPT + TRIM_EVERY):
        inbox.keep(a_document(number))

    assert mongo_database["sandbox_inbox"].count_documents({}) == KEPT


def test_a_store_that_is_away_is_said_in_our_words() -> None:
    with pymongo.MongoClient[dict[str, Any]](
        "mongodb://127.0.0.1:1", serverSelectionTimeoutMS=50
    ) as client:
        inbox = MongoInbox(client["postroom"])

        with pytest.raises(StoreUnavailableError):
            inbox.keep(a_document(1))
        with pytest.raises(StoreUnavailableError):
            inbox.latest(1)


def test_an_erased_email_is_forgotten_and_its_key_is_not(inbox: Inbox) -> None:
    for number, key in ((1, None), (1, None), (1, "a"), (2, None)):
        inbox.keep(a_document(number), key=key)

    inbox.forget("1")
    inbox.forget("3")
    inbox.keep(a_document(4), key="a")

    assert [found["email_id"] for found in inbox.latest(9)] == ["2"]
