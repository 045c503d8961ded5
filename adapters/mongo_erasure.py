"""Erasing emails in MongoDB on demand, and finding those of one address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import PyMongoError

from ..domain.change import Change
from ..domain.errors import StoreUnavailableError
from .mongo_archive import same_address
from .mongo_codec import LARGE_FIELDS, recipient_label, to_filter, to_update
from .mongo_search import within_time
from .mongo_store import OPERATION_S, Document, durable
from .sandbox_inbox import MongoInbox

#: Bound on one search for an address, in seconds. It may pass over all that an owner
#: sent before emails had labels.
SEARCH_S = 60.0

#: What an erased email says. Empty labels tell it from one that never had any.
_NOTHING: Document = {
    "reply_to": [],
    "subject": "",
    "headers": [],
    "tags": [],
    "metadata": [],
    "labels": [],
}


class MongoErasure:
    """Implements ``Erasure`` over the collections of the store."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = durable(database)
        self._emails = self._database["emails"]
        self._payloads = self._database["payloads"]
        self._inbox = MongoInbox(self._database)

    def erase_whole(self, change: Change) -> bool:
        """Write a change and remove what was said; see ``Erasure.erase_whole``."""
        key = ObjectId(change.email_id)
        update = to_update(change)
        gone = dict.fromkeys((*LARGE_FIELDS, "payload"), "")
        whole = {
            "$set": update["$set"] | _NOTHING,
            "$unset": update.get("$unset", {}) | gone,
        }
        try:
            with pymongo.timeout(OPERATION_S):
                # First: one that says nothing any more is not looked at again.
                self._inbox.forget(change.email_id)
                guard = to_filter(change.email_id, change.guard)
                if self._emails.update_one(guard, whole).matched_count != 1:
                    # A repeated write may have been our own: see `MongoStore.apply`.
                    written = {"_id": key, **update["$set"]}
                    if self._emails.find_one(written, {"_id": 1}) is None:
                        return False
                # Nobody asks for it without the marker; after a crash here it is an
                # orphan, which goes by itself.
                self._payloads.delete_one({"_id": key})
        except PyMongoError as ex:
            raise StoreUnavailableError("erase: the store did not answer") from ex
        return True

    def addressed_to(
        self,
        addr_spec: str,
        *,
        owner: str | None,
        after: str | None,
        limit: int,
    ) -> Sequence[str]:
        """Return ids of emails to an address; see ``Erasure.addressed_to``."""
        beyond = {"_id": {"$gt": ObjectId(after)}} if after else {}

        def search() -> list[str]:
            owners = [owner] if owner is not None else self._emails.distinct("owner")
            found = [
                self._ids({"owner": one, **told, **beyond}, limit)
                for one in owners
                for told in _told(addr_spec)
            ]
            return list(islice(merge(*found), limit))

        return within_time(self._database, SEARCH_S, search)

    def _ids(self, query: dict[str, Any], limit: int) -> list[str]:
        found = self._emails.find(query, {"_id": 1}).sort("_id", 1).limit(limit)
        return [str(document["_id"]) for document in found]


def _told(addr_spec: str) -> Iterator[dict[str, Any]]:
    """Give the conditions of an address: by index, and of emails without labels."""
    yield {"labels": recipient_label(addr_spec)}
    yield {
        "labels": {"$exists": False},
        "recipients.addr_spec": same_address(addr_spec),
    }
