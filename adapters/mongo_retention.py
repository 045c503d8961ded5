"""Old email in MongoDB: bodies go, then records, and payloads without an email.

Not every server that speaks MongoDB's protocol plans as MongoDB does. One reads a whole
range before it sorts or limits it, scans for ``$or`` even beside ids, and takes longer
for each id the more of them it is given. What is asked here is plain enough for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import pymongo
from bson import ObjectId
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from ..domain.change import Change
from ..domain.conservation import hour_of
from ..domain.email import FINAL_STATES, Email
from ..domain.errors import StoreUnavailableError
from ..domain.idempotency import LOOK_AGAIN
from .mongo_codec import LARGE_FIELDS, to_filter, to_update
from .mongo_store import KEYS, NO_CONTENT, OPERATION_S, Document, durable, readable

#: Emails or payloads of one request.
AT_ONCE = 100

#: The precision of a stored instant.
_TICK = timedelta(milliseconds=1)

_FINAL_WORDS = sorted(state.value for state in FINAL_STATES)
_IS_FINAL = {"$in": _FINAL_WORDS}

#: What an erased email must not have any more. Without the marker nobody asks for the
#: payload, so both go in one write and the payload itself after it.
_ERASED = dict.fromkeys((*LARGE_FIELDS, "payload"), "")


class MongoRetention:
    """Implements ``Retention`` over the collections of store and ledger."""

    def __init__(self, database: Database[Document]) -> None:
        database = durable(database)
        self._emails = database["emails"]
        self._payloads = database["payloads"]
        self._ledger = database["ledger"]
        self._keys = database[KEYS]
        #: Where the walk over the payloads goes on; ``None`` at its beginning.
        self._walked_to: datetime | None = None

    def final_before(self, instant: datetime, *, limit: int) -> Sequence[Email]:
        """Return what has been final for long; see ``Retention.final_before``."""
        query = {"final_at": {"$lte": instant}, "state": _IS_FINAL}
        with _bounded("final_before"):
            found = self._emails.find(query, NO_CONTENT).sort("final_at", 1)
            documents = list(found.limit(limit))
        return list(readable(documents))

    def erase(self, changes: Sequence[Change]) -> int:
        """Write changes and remove what is large; see ``Retention.erase``."""
        return sum(
            self._erase(changes[start : start + AT_ONCE])
            for start in range(0, len(changes), AT_ONCE)
        )

    def remove_expired(self, now: datetime, *, limit: int) -> int:
        """Remove records whose time has come; see ``Retention.remove_expired``."""
        query = {"expires_at": {"$lte": now}, "state": _IS_FINAL}
        with _bounded("remove_expired"):
            found = self._emails.find(query, {"_id": 1}).sort("expires_at", 1)
            ids = [document["_id"] for document in found.limit(limit)]
            if not ids:
                return 0
            hours = sorted({hour_of(str(each)) for each in ids})
            self._ledger.delete_many({"hour": {"$in": hours}})
            return self._emails.delete_many(
                {"_id": {"$in": ids}, **query}
            ).deleted_count

    def remove_orphans(self, before: datetime, *, limit: int) -> int:
        """Remove what no email refers to; see ``Retention.remove_orphans``."""
        ids = self._next_payloads(before, limit)
        removed = 0
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            with _bounded("remove_orphans"):
                orphans = set(some) - self._wanted(some)
                if orphans:
                    query = {"_id": {"$in": list(orphans)}, "at": {"$lt": before}}
                    removed += self._payloads.delete_many(query).deleted_count
        return removed

    def remove_keys(self, now: datetime, *, limit: int) -> int:
        """Remove keys that were kept for long; see ``Retention.remove_keys``."""
        with _bounded("remove_keys"):
            found = self._keys.find({"look_at": {"$lte": now}}, {"emails.id": 1})
            keys = list(found.sort("look_at", 1).limit(limit))
        return sum(self._remove_keys(some, now) for some in _in_parts(keys))

    def _remove_keys(self, keys: Sequence[Document], now: datetime) -> int:
        ids = [email["id"] for key in keys for email in key["emails"]]
        with _bounded("remove_keys"):
            found = self._emails.find({"_id": {"$in": ids}}, {"state": 1})
            still_open = {e["_id"] for e in found if e["state"] not in _FINAL_WORDS}
            kept = [
                key["_id"]
                for key in keys
                if any(email["id"] in still_open for email in key["emails"])
            ]
            if kept:
                later = {"$set": {"look_at": now + LOOK_AGAIN}}
                self._keys.update_many({"_id": {"$in": kept}}, later)
            old = [key["_id"] for key in keys if key["_id"] not in kept]
            if not old:
                return 0
            return self._keys.delete_many({"_id": {"$in": old}}).deleted_count

    def _erase(self, changes: Sequence[Change]) -> int:
        """Write some changes together: a majority is waited for only once."""
        updates = [
            UpdateOne(to_filter(change.email_id, change.guard), _erasure(change))
            for change in changes
        ]
        ids = {ObjectId(change.email_id) for change in changes}
        with _bounded("erase"):
            done = self._emails.bulk_write(updates, ordered=False).matched_count
            # Who comes after a crash here finds payloads that nobody refers to.
            erased = ids if done == len(ids) else ids - self._wanted(ids)
            if erased:
                self._payloads.delete_many({"_id": {"$in": list(erased)}})
        return done

    def _next_payloads(self, before: datetime, limit: int) -> list[ObjectId]:
        """Return the ids that the walk comes to next."""
        since = self._walked_to
        query = {
            "at": {"$lt": before} if since is None else {"$gte": since, "$lt": before}
        }
        with _bounded("remove_orphans"):
            found = self._payloads.find(query, {"_id": 1, "at": 1})
            documents = list(found.sort([("at", 1), ("_id", 1)]).limit(limit))
        if len(documents) < limit:
            self._walked_to = None
        else:
            last: datetime = documents[-1]["at"]
            # Those of one instant are looked at again, unless they fill a slice.
            self._walked_to = last if last != since else last + _TICK
        return [document["_id"] for document in documents]

    def _wanted(self, ids: Collection[ObjectId]) -> set[ObjectId]:
        """Return those whose email refers to its payload, or may do so."""
        query = {"_id": {"$in": list(ids)}}
        found = self._emails.find(query, {"payload": 1, "state": 1})
        return {
            document["_id"]
            for document in found
            if document.get("payload") or document["state"] not in _FINAL_WORDS
        }


def _in_parts(keys: Sequence[Document]) -> Iterator[list[Document]]:
    """Give keys in parts that have few emails together: a batch has up to 100."""
    part: list[Document] = []
    count = 0
    for key in keys:
        size = len(key["emails"])
        if part and count + size > AT_ONCE:
            yield part
            part, count = [], 0
        part.append(key)
        count += size
    if part:
        yield part


def _erasure(change: Change) -> Document:
    """Return the operators that write a change and take what is large away."""
    update = to_update(change)
    return update | {"$unset": update.get("$unset", {}) | _ERASED}


@contextmanager
def _bounded(name: str) -> Iterator[None]:
    """Bound what is done inside, and let no error of the driver out."""
    try:
        with pymongo.timeout(OPERATION_S):
            yield
    except PyMongoError as ex:
        raise StoreUnavailableError(f"{name}: the store did not answer") from ex
