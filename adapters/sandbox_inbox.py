"""Where the sandbox keeps what it "sent": a collection, or this process's memory.

It is for looking at. Only the newest are kept, and nothing else reads them. Of an
older one its idempotency key stays for as long as the sandbox honours it.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from ..domain.errors import StoreUnavailableError

#: Emails that are shown at most; older ones go.
KEPT = 500

#: Old ones are looked for every so many emails, so that keeping one is one write.
TRIM_EVERY = 50

#: How long an idempotency key is remembered: as long as Resend does.
KEY_TTL = timedelta(hours=24)

#: MongoDB's code of a key that is there already: another process trims too.
_DUPLICATE = 11000

_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]


class MongoInbox:
    """The collection ``sandbox_inbox``, shared by all processes."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._emails = database["sandbox_inbox"]
        self._spent = database["sandbox_keys"]
        self._count = itertools.count(1)

    def keep(self, document: dict[str, Any], *, key: str | None = None) -> None:
        """Keep one email, unless one was kept with the same key.

        Raises:
            StoreUnavailableError: It may or may not be kept.
        """
        try:
            if key is None:
                self._emails.insert_one({**document})
            else:
                self._keep_once({**document, "_id": key})
            if next(self._count) % TRIM_EVERY == 0:
                self._trim(document["at"])
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

    def forget(self, email_id: str) -> None:
        """Remove every copy of an email; a key that it came with stays spent.

        Raises:
            StoreUnavailableError: Copies may be left.
        """
        copies = {"email_id": email_id}
        try:
            found = list(self._emails.find(copies, {"at": True}))
            if found:
                self._remove(found)
        except PyMongoError as ex:
            raise StoreUnavailableError("the sandbox's inbox is away") from ex

    def _keep_once(self, document: dict[str, Any]) -> None:
        """Keep it if its key is new.

        It looks for a spent key after the insert: a trim writes the key down before
        it removes the email, so one of the two is always seen.
        """
        try:
            self._emails.insert_one(document)
        except DuplicateKeyError:
            return
        key = {"_id": document["_id"]}
        if self._spent.find_one(key) is not None:
            self._emails.delete_one(key)

    def _trim(self, now: datetime) -> None:
        old = list(
            self._emails.find({}, {"at": True}).sort(_NEWEST_FIRST).skip(KEPT),
        )
        if old:
            self._remove(old)
        self._spent.delete_many({"at": {"$lt": now - KEY_TTL}})

    def _remove(self, documents: list[dict[str, Any]]) -> None:
        keys = [one for one in documents if isinstance(one["_id"], str)]
        if keys:
            self._spend(keys)
        self._emails.delete_many({"_id": {"$in": [one["_id"] for one in documents]}})

    def _spend(self, keys: list[dict[str, Any]]) -> None:
        try:
            self._spent.insert_many(keys, ordered=False)
        except BulkWriteError as ex:
            if any(e["code"] != _DUPLICATE for e in ex.details["writeErrors"]):
                raise


class NoInbox:
    """Keeps nothing: where nobody may look, nothing is to lie about."""

    def keep(self, document: dict[str, Any], *, key: str | None = None) -> None:
        """Forget it."""


class MemoryInbox:
    """The same in memory, for tests and for a process of its own."""

    def __init__(self) -> None:
        self._emails: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._keys: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def keep(self, document: dict[str, Any], *, key: str | None = None) -> None:
        """Keep one email, unless one was kept with the same key."""
        with self._lock:
            if key is not None:
                if key in self._keys:
                    return
                self._keys[key] = document["at"]
            self._emails.append({**document})

    def forget(self, email_id: str) -> None:
        """Remove every copy of an email; a key that it came with stays spent."""
        with self._lock:
            kept = [one for one in self._emails if one["email_id"] != email_id]
            self._emails = deque(kept, maxlen=KEPT)

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` emails (500 at most), newest first."""
        newest = sorted(self._emails, key=lambda email: email["at"], reverse=True)
        return newest[: max(1, limit)]
