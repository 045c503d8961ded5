"""The sandbox's inbox: the same contract for the collection and for the memory."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from postroom.adapters.sandbox_inbox import (
    KEPT,
    TRIM_EVERY,
    MemoryInbox,
    MongoInbox,
)
from postroom.domain.errors import StoreUnavailableError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

Inbox = MongoInbox | MemoryInbox


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
