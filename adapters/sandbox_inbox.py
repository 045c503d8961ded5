"""Where the sandbox keeps what it "sent": a collection, or this process's memory.

It is for looking at. Only the newest are kept, and nothing else reads them.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from ..domain.errors import StoreUnavailableError

#: Emails that are shown at most; older ones go.
KEPT = 500

#: Old ones are looked for every so many emails, so that keeping one is one write.
TRIM_EVERY = 50

_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]


class MongoInbox:
    """The collection ``sandbox_inbox``, shared by all processes."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._emails = database["sandbox_inbox"]
        self._count = itertools.count(1)

    def keep(self, document: dict[str, Any]) -> None:
        """Keep one email.

        Raises:
            StoreUnavailableError: It may or may not be kept.
        """
        try:
            self._emails.insert_one({**document})
            if next(self._count) % TRIM_EVERY == 0:
                self._trim()
        except PyMongoError as ex:
            raise StoreUnavailableError("the sandbox's inbox is away") from ex

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` emails (500 at most), newest first.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        most = max(1, min(limit, KEPT))
        try:
            return list(
                self._emails.find({}, {"_id": False}).sort(_NEWEST_FIRST).limit(most)
            )
        except PyMongoError as ex:
            raise StoreUnavailableError("the sandbox's inbox is away") from ex

    def _trim(self) -> None:
        old = self._emails.find({}, {"_id": True}).sort(_NEWEST_FIRST).skip(KEPT)
        ids = [document["_id"] for document in old]
        if ids:
            self._emails.delete_many({"_id": {"$in": ids}})


class MemoryInbox:
    """The same in memory, for tests and for a process of its own."""

    def __init__(self) -> None:
        self._emails: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def keep(self, document: dict[str, Any]) -> None:
        """Keep one email."""
        self._emails.append({**document})

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` emails (500 at most), newest first."""
        newest = sorted(self._emails, key=lambda email: email["at"], reverse=True)
        return newest[: max(1, limit)]
