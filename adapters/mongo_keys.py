"""The keys in MongoDB: collection ``api_keys``, without their secrets.

When a key was last used is written by a thread of its own, every few seconds and only
when there is something new, so that no request waits for it or fails by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Lock, Thread

import pymongo
import structlog
from pymongo import ASCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from ..domain.access import ApiKey, Rate, Scope
from ..domain.errors import StoreUnavailableError
from .mongo_store import OPERATION_S, Document, durable

log = structlog.get_logger(__name__)

#: Bound on a look-up, in seconds: a request waits for it.
FIND_S = 0.8

#: How long a use waits to be written, in seconds.
WRITE_EVERY_S = 5.0

#: Bound on the last write of a process that ends, in seconds.
LAST_WRITE_S = 1.0


class MongoKeyRing:
    """Implements ``KeyRing``."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = durable(database)["api_keys"]
        self._uses: dict[str, datetime] = {}
        self._lock = Lock()
        self._ended = Event()
        self._thread: Thread | None = None

    def add(self, key: ApiKey) -> None:
        """Store a new key; see ``KeyRing.add``."""
        document = to_document(key)
        with _answering("add", OPERATION_S):
            try:
                self._keys.insert_one(document)
            except DuplicateKeyError:
                # The driver repeats a write by itself: then it is our own.
                if self._keys.find_one({"_id": key.key_id}) != document:
                    raise

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key of a digest; see ``KeyRing.find``."""
        with _answering("find", FIND_S):
            document = self._keys.find_one({"digest": digest})
        return None if document is None else from_document(document)

    def is_empty(self) -> bool:
        """Return whether there has never been a key."""
        with _answering("is_empty", FIND_S):
            return self._keys.find_one({}, {"_id": 1}) is None

    def all(self) -> Sequence[ApiKey]:
        """Return all keys, in the order in which they were made."""
        with _answering("all", OPERATION_S):
            order = [("created_at", ASCENDING), ("_id", ASCENDING)]
            return [from_document(each) for each in self._keys.find().sort(order)]

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        """Revoke a key; see ``KeyRing.revoke``."""
        with _answering("revoke", OPERATION_S):
            self._keys.update_one(
                {"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": now}}
            )
            document = self._keys.find_one({"_id": key_id})
        return None if document is None else from_document(document)

    def used(self, key_id: str, *, at: datetime) -> None:
        """Note a use; see ``KeyRing.used``."""
        with self._lock:
            self._uses[key_id] = max(at, self._uses.get(key_id, at))
            if self._thread is None and not self._ended.is_set():
                self._thread = Thread(target=self._run, name="key-uses", daemon=True)
                self._thread.start()

    def write(self, *, bound_s: float = OPERATION_S) -> bool:
        """Write what is new. Never raises.

        Returns:
            Whether all is written.
        """
        with self._lock:
            uses, self._uses = self._uses, {}
        if not uses:
            return True
        updates = [
            UpdateOne({"_id": key_id}, {"$max": {"last_used_at": at}})
            for key_id, at in uses.items()
        ]
        try:
            with pymongo.timeout(bound_s):
                self._keys.bulk_write(updates, ordered=False)
        except PyMongoError as ex:
            log.warning("keys.use_not_written", error=type(ex).__name__)
            return False  # the next use is written all the same
        return True

    def close(self) -> None:
        """Write what is left, and no more after it."""
        self._ended.set()
        self.write(bound_s=LAST_WRITE_S)

    def _run(self) -> None:
        while not self._ended.wait(WRITE_EVERY_S):
            self.write()


@contextmanager
def _answering(what: str, bound_s: float) -> Iterator[None]:
    try:
        with pymongo.timeout(bound_s):
            yield
    except PyMongoError as ex:
        raise StoreUnavailableError(f"keys, {what}: no answer in time") from ex


def to_document(key: ApiKey) -> Document:
    """Return a key as it is stored."""
    rate = key.rate
    return {
        "_id": key.key_id,
        "owner": key.owner,
        "name": key.name,
        "digest": key.digest,
        "scopes": sorted(scope.value for scope in key.scopes),
        "from_domains": sorted(key.from_domains),
        "is_test": key.is_test,
        "rate": None if rate is None else {"per_s": rate.per_s, "burst": rate.burst},
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def from_document(document: Document) -> ApiKey:
    """Return a stored key."""
    rate = document["rate"]
    return ApiKey(
        key_id=document["_id"],
        owner=document["owner"],
        name=document["name"],
        digest=document["digest"],
        scopes=frozenset(map(Scope, document["scopes"])),
        from_domains=frozenset(document["from_domains"]),
        is_test=document["is_test"],
        rate=None if rate is None else Rate(**rate),
        created_at=document["created_at"],
        last_used_at=document["last_used_at"],
        revoked_at=document["revoked_at"],
    )
