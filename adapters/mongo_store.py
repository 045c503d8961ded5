"""The emails in MongoDB: the truth of the whole service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pymongo
import structlog
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.errors import InvalidId
from pymongo import MongoClient, ReadPreference, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from ..domain.change import Change
from ..domain.email import CLAIMABLE, Email, Priority
from ..domain.errors import (
    StoreUnavailableError,
)
from .gathering import Gathering
from .mongo_codec import CONTENT_FIELDS, from_document, to_filter, to_update
from .mongo_inserts import PAUSE_S, MongoInserts

Document = dict[str, Any]

log = structlog.get_logger(__name__)

#: Bound on any other single operation, in seconds.
OPERATION_S = 5.0

#: Bound on the one write that touches all that is open, in seconds.
HASTEN_S = 30.0

#: The collection of the clients' idempotency keys.
KEYS = "idempotency"

#: The indexes, by collection and name. Only added to: older processes still read.
INDEXES: Mapping[str, Mapping[str, tuple[tuple[str, int], ...]]] = {
    "emails": {
        "due": (("due_at", 1),),
        "parked": (("parked_for", 1), ("_id", 1)),
        "dead": (("dead_at", 1),),
        "final": (("final_at", 1),),
        "expires": (("expires_at", 1),),
        "untimed": (("created_at", 1),),
        "owned": (("owner", 1), ("_id", 1)),
        "owned_state": (("owner", 1), ("state", 1), ("_id", 1)),
        "owned_label": (("owner", 1), ("labels", 1), ("_id", 1)),
        "owned_attempts": (("owner", 1), ("attempts.provider", 1), ("_id", 1)),
        "owned_dead": (("owner", 1), ("_id", 1)),
    },
    "payloads": {"age": (("at", 1), ("_id", 1))},
    "ledger": {"hour": (("hour", 1),)},
    KEYS: {"look": (("look_at", 1),)},
    "api_keys": {"digest": (("digest", 1),)},
}

#: Emails that nothing will look at by itself: held ones, and those that are astray. All
#: others have one of these times, so this index costs none of them a write.
UNTIMED: Mapping[str, None] = {"due_at": None, "final_at": None, "erased_at": None}

#: Emails with an attempt: a new one costs their index nothing. A query must say this.
ATTEMPTED: Mapping[str, Any] = {"attempts.0": {"$exists": True}}

_PARTIAL: Mapping[str, Mapping[str, Any]] = {
    "untimed": UNTIMED,
    "owned_attempts": ATTEMPTED,
    "owned_dead": {"dead_at": {"$exists": True}},
}

#: A projection that leaves out what an email says.
NO_CONTENT = dict.fromkeys((*CONTENT_FIELDS, "payload"), 0)


def connect(uri: str) -> MongoClient[Document]:
    """Return a client whose writes are on a majority's disks when they return.

    On MongoDB a majority implies the journal; not every server that speaks its
    protocol agrees, so both are asked for. It connects on first use, so that a
    process can fork before.
    """
    return MongoClient(
        uri,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        tz_aware=True,
        tzinfo=UTC,
        connect=False,
        serverSelectionTimeoutMS=3_000,
        connectTimeoutMS=3_000,
        appname="postroom",
    )


def database_of(client: MongoClient[Document]) -> Database[Document]:
    """Return the database that the URI names, or ``postroom``."""
    return client.get_default_database("postroom")


def durable(database: Database[Document]) -> Database[Document]:
    """Return a database whose writes and reads are a majority's, in UTC.

    Whatever the URI says: a read from a secondary may be old.
    """
    options: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
    return database.with_options(
        codec_options=options,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
        read_preference=ReadPreference.PRIMARY,
    )


@dataclass(slots=True, eq=False)
class _Wanted:
    """An email that somebody waits for, and what was found of it."""

    key: ObjectId
    document: Document | None = None


@dataclass(slots=True, eq=False)
class _Write:
    """A guarded write that somebody waits for.

    Attributes:
        is_done: It certainly is; else it may be.
    """

    query: Document
    update: Document
    is_done: bool = False


class MongoStore:
    """Implements ``EmailStore`` over two collections: ``emails`` and ``payloads``."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = durable(database)
        self._emails: Collection[Document] = self._database["emails"]
        self._payloads: Collection[Document] = self._database["payloads"]
        self._inserts = MongoInserts(self._emails, self._payloads)
        self._loads = Gathering(self._load_all)
        self._writes = Gathering(self._write_all)

    def ensure_indexes(self) -> None:
        """Create what sweep, release, operators, retention and audit read by.

        Safe to repeat, and while older processes run: it adds and never drops. An
        email stands in one only while it is what the index is for.

        Raises:
            StoreUnavailableError: The store did not take them.
        """
        try:
            for collection, indexes in INDEXES.items():
                for name, key in indexes.items():
                    self._database[collection].create_index(
                        list(key), name=name, **_options(collection, name)
                    )
        except PyMongoError as ex:
            raise StoreUnavailableError("the store did not take the indexes") from ex

    def insert(self, email: Email) -> None:
        """Store a new email; see ``EmailStore.insert``."""
        self._inserts.insert(email)

    def load(self, email_id: str) -> Email | None:
        """Return the email with its content; see ``EmailStore.load``."""
        try:
            wanted = _Wanted(ObjectId(email_id))
        except InvalidId:
            return None
        try:
            self._loads.do(wanted)
            if (document := wanted.document) is None:
                return None
            if document.get("payload"):
                with pymongo.timeout(OPERATION_S):
                    document = {**document, **self._payload(wanted.key)}
        except PyMongoError as ex:
            raise StoreUnavailableError("load: the store did not answer") from ex
        return from_document(document)

    def _load_all(self, all_wanted: Sequence[_Wanted]) -> None:
        """Read what several threads want at this moment."""
        with pymongo.timeout(OPERATION_S):
            if len(all_wanted) == 1:
                (wanted,) = all_wanted
                wanted.document = self._emails.find_one({"_id": wanted.key})
                return
            keys = [wanted.key for wanted in all_wanted]
            found = {d["_id"]: d for d in self._emails.find({"_id": {"$in": keys}})}
            for wanted in all_wanted:
                wanted.document = found.get(wanted.key)

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        """Write a change if its guard holds; see ``EmailStore.apply``."""
        end = time.monotonic() + patience.total_seconds()
        while True:
            try:
                return self._is_written(change)
            except PyMongoError as ex:
                if time.monotonic() >= end:
                    raise StoreUnavailableError("apply: no answer in time") from ex
            time.sleep(PAUSE_S)

    def _is_written(self, change: Change) -> bool:
        write = _Write(to_filter(change.email_id, change.guard), to_update(change))
        try:
            if not change.is_own:
                self._write_all([write])
            else:
                self._writes.do(write)
        except BulkWriteError:
            self._write_all([write])  # something is wrong with one of the group
        if write.is_done:
            return True
        with pymongo.timeout(OPERATION_S):
            return self._is_there(change)

    def _write_all(self, writes: Sequence[_Write]) -> None:
        """Write what several threads have in hand at this moment."""
        with pymongo.timeout(OPERATION_S):
            if len(writes) == 1:
                (write,) = writes
                matched = self._emails.update_one(
                    write.query, write.update
                ).matched_count
            else:
                updates = [UpdateOne(write.query, write.update) for write in writes]
                matched = self._emails.bulk_write(updates, ordered=False).matched_count
            for write in writes:
                # Which of several were not, each has to find out.
                write.is_done = matched == len(writes)

    def _is_there(self, change: Change) -> bool:
        """Return whether a change has been written: see ``Change.is_in``.

        The driver repeats a write by itself, and not every server that speaks MongoDB's
        protocol then says that the first one was done.
        """
        if not change.is_own:
            return False
        values = to_update(change).get("$set", {})
        query = {"_id": ObjectId(change.email_id), **values}
        return self._emails.find_one(query, {"_id": 1}) is not None

    def apply_all(self, changes: Sequence[Change]) -> Sequence[bool]:
        """Write several changes in one trip; see ``EmailStore.apply_all``."""
        if not changes:
            return []
        writes = [
            UpdateOne(to_filter(c.email_id, c.guard), to_update(c)) for c in changes
        ]
        try:
            with pymongo.timeout(OPERATION_S):
                done = self._emails.bulk_write(writes, ordered=False)
                if done.matched_count == len(changes):
                    return [True] * len(changes)
                return self._are_there(changes)
        except PyMongoError as ex:
            raise StoreUnavailableError("apply_all: no answer in time") from ex

    def _are_there(self, changes: Sequence[Change]) -> Sequence[bool]:
        """Return for each change whether what it sets is stored."""
        ids = [ObjectId(change.email_id) for change in changes]
        written = [
            {"_id": email_id, **to_update(change).get("$set", {})}
            for email_id, change in zip(ids, changes, strict=True)
        ]
        # The ids alone too: an index serves them, and not all serve an `$or` by one.
        found = self._emails.find({"_id": {"$in": ids}, "$or": written}, {"_id": 1})
        there = {document["_id"] for document in found}
        return [email_id in there for email_id in ids]

    def due(
        self, before: datetime, *, limit: int, since: datetime | None = None
    ) -> Sequence[Email]:
        """Return what is due, earliest first; see ``EmailStore.due``."""
        query: Document = {"due_at": {"$lte": before}}
        if since is not None:
            query["due_at"]["$gt"] = since
            query |= {"offers": 0, "priority": {"$ne": Priority.LOW.value}}
        return self._find(query, "due_at", limit)

    def hasten(self, now: datetime, *, before: datetime) -> None:
        """Make due now what may be claimed before an instant and is not parked."""
        query = {
            "due_at": {"$gt": now},  # a range, so that the sparse index serves it
            "state": {"$in": sorted(state.value for state in CLAIMABLE)},
            "not_before": {"$lt": before},
            "parked_for": {"$exists": False},
        }
        try:
            with pymongo.timeout(HASTEN_S):
                self._emails.update_many(query, {"$set": {"due_at": now}})
        except PyMongoError as ex:
            raise StoreUnavailableError("hasten: the store did not answer") from ex

    def parked(self, provider: str, *, limit: int) -> Sequence[Email]:
        """Return what is parked for a provider, oldest first."""
        return self._find({"parked_for": provider}, "_id", limit)

    def is_writable(self) -> bool:
        """Return whether the store has a primary that answers within a second."""
        try:
            with pymongo.timeout(1.0):
                hello = self._database.command("hello")
        except PyMongoError:
            return False
        return bool(hello.get("isWritablePrimary"))

    def _payload(self, key: ObjectId) -> Document:
        """Return the large parts; without them an empty email would go out.

        Raises:
            StoreUnavailableError: They are not there.
        """
        payload = self._payloads.find_one({"_id": key})
        if payload is None:
            raise StoreUnavailableError(f"load: {key} has lost its payload")
        return payload

    def _find(
        self,
        query: Mapping[str, Any],
        order: str,
        limit: int,
    ) -> Sequence[Email]:
        try:
            with (
                pymongo.timeout(OPERATION_S),
                self._emails.find(query, NO_CONTENT).sort(order, 1) as found,
            ):
                # No limit for the server: what cannot be read must not use it up.
                return list(islice(readable(found.batch_size(limit + 1)), limit))
        except PyMongoError as ex:
            raise StoreUnavailableError("find: the store did not answer") from ex


def readable(documents: Iterable[Document]) -> Iterator[Email]:
    """Give the emails of documents; one that cannot be read holds up no other.

    A newer release, rolled back since, may have written a word unknown here.
    """
    for document in documents:
        try:
            yield from_document(document)
        except (LookupError, TypeError, ValueError) as ex:
            log.error(  # noqa: TRY400 - the trace would show the document
                "store.unreadable",
                email_id=str(document.get("_id")),
                error=type(ex).__name__,
            )


def _options(collection: str, index: str) -> dict[str, Any]:
    """Return what keeps an index small."""
    if index in _PARTIAL:
        return {"partialFilterExpression": _PARTIAL[index]}
    if collection == "api_keys":
        return {"unique": True}
    # An email lacks the field of an index that is not for it; an owner it has always.
    return {"sparse": collection == "emails" and not index.startswith("owned")}
