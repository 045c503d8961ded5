"""Emails as the service stores them, written past it: there are too many to post."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from benchmarks.stack import EMAIL, Stack
from postroom.adapters.mongo_store import connect, database_of

Document = dict[str, Any]

#: Documents that are loaded in one command.
LOAD = 1000

#: The times of an email that waits since it was accepted.
_TIMES = ("created_at", "updated_at", "first_due_at", "not_before", "due_at")


def sent_one(stack: Stack) -> Document:
    """Have an email sent; return it as it is stored."""
    email_id = stack.request("/api/emails", EMAIL)["id"]
    stack.wait_for_taken(1)
    stack.wait_until_settled()
    return _found(stack, email_id)


def queued_one(stack: Stack) -> Document:
    """Have an email accepted while nobody routes; return it, and it is gone."""
    email_id = stack.request("/api/emails", EMAIL)["id"]
    document = _found(stack, email_id)
    with connect(stack.mongodb_url) as mongodb:
        database_of(mongodb)["emails"].delete_one({"_id": document["_id"]})
    return document


def make_due(
    emails: Collection[Document], like: Document, *, count: int, since: datetime
) -> list[ObjectId]:
    """Store so many emails that were accepted then and never offered.

    Args:
        emails: Where they go.
        like: One that is queued; they differ from it by their ids and times.
        count: How many.
        since: Since when all of them are due.
    """
    times = dict.fromkeys(_TIMES, since)
    keys = [ObjectId() for _ in range(count)]
    for start in range(0, count, LOAD):
        some = keys[start : start + LOAD]
        emails.insert_many([like | times | {"_id": key} for key in some], ordered=False)
    return keys


def _found(stack: Stack, email_id: str) -> Document:
    with connect(stack.mongodb_url) as mongodb:
        emails = database_of(mongodb)["emails"]
        found: Document | None = emails.find_one({"_id": ObjectId(email_id)})
    assert found is not None
    return found
