"""New emails into MongoDB: each for certain, and several threads' in one trip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pymongo
from bson.errors import InvalidDocument
from pymongo.collection import Collection
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)

from ..domain.email import Email
from ..domain.errors import NotStoredError, StorageUnsureError
from .gathering import Gathering
from .mongo_codec import LARGE_FIELDS, to_document

Document = dict[str, Any]

#: Budget of a whole insert with its repeats and its reading back, in seconds. With the
#: look-up of a key before it (0.8 s), the count of its rate (0.2 s) and the hint after
#: it (0.3 s) a client is to have its answer within 5 s, on a busy machine too.
INSERT_BUDGET_S = 3.4

#: Bodies and attachments above this stand in a document of their own, in bytes, so
#: that the writes which move an email along stay small.
LARGEST_INLINE = 64 * 1024

#: Pause between two tries while the store is away, in seconds.
PAUSE_S = 0.2

#: What may come from a write that was done.
_SAYS_LITTLE = (WriteConcernError, ExecutionTimeout, DuplicateKeyError, BulkWriteError)


class MongoInserts:
    """Inserts over two collections: ``emails`` and ``payloads``."""

    def __init__(
        self, emails: Collection[Document], payloads: Collection[Document]
    ) -> None:
        self._emails = emails
        self._payloads = payloads
        self._together = Gathering(self._insert_all)

    def insert(self, email: Email) -> None:
        """Store a new email; see ``EmailStore.insert``.

        What several threads have in hand goes in one trip; what did not get through so,
        or is large, goes by itself.
        """
        document = to_document(email)
        payload = split_payload(document)
        end = time.monotonic() + INSERT_BUDGET_S
        failure: Exception | None = None
        if payload is None:
            failure = self._together.failure_of(document)
            if failure is None:
                return
        self._insert_until(end, document, payload, failure)

    def _insert_all(self, documents: Sequence[Document]) -> None:
        """Insert what several threads have in hand at this moment."""
        with pymongo.timeout(INSERT_BUDGET_S):
            if len(documents) == 1:
                self._emails.insert_one(documents[0])
            else:
                self._emails.insert_many(documents, ordered=False)

    def _insert_until(
        self,
        end: float,
        document: Document,
        payload: Document | None,
        last: Exception | None,
    ) -> None:
        """Try by itself what may be stored already, as ``last`` tells."""
        may_be_there = not (last is None or is_unsent(last) or is_refusal(last))
        while (left := end - time.monotonic()) > 0:
            try:
                with pymongo.timeout(left):
                    self._insert_once(document, payload)
            except InvalidDocument as ex:
                raise NotStoredError("too large for the store") from ex
            except PyMongoError as ex:
                if is_refusal(ex) and not may_be_there:
                    raise NotStoredError("refused by the store") from ex
                last, may_be_there = ex, may_be_there or not is_unsent(ex)
            else:
                return
            time.sleep(min(PAUSE_S, max(0.0, end - time.monotonic())))
        if may_be_there:
            raise StorageUnsureError(
                "the store did not say in time whether it has the email",
                email_id=str(document["_id"]),
            ) from last
        raise NotStoredError("the store cannot be reached") from last

    def _insert_once(self, document: Document, payload: Document | None) -> None:
        """Insert under our own id; one that is there already is our own earlier try."""
        for collection, part in ((self._payloads, payload), (self._emails, document)):
            if part is None:
                continue
            try:
                collection.insert_one(part)
            except DuplicateKeyError:
                # It may not be on a majority yet: only reading it there tells.
                if collection.find_one({"_id": part["_id"]}, {"_id": 1}) is None:
                    raise


def is_unsent(ex: Exception) -> bool:
    """Whether nothing has gone out to the store."""
    return isinstance(ex, ServerSelectionTimeoutError)


def is_refusal(ex: Exception) -> bool:
    """Whether the store said that it did not write, and not merely failed to say.

    What stops a write in its middle, or on its way to the majority, says nothing; a
    duplicate is our own earlier try; and of several writes others may be done.
    """
    return isinstance(ex, OperationFailure) and not (
        isinstance(ex, _SAYS_LITTLE) or ex.has_error_label("RetryableWriteError")
    )


def split_payload(document: Document) -> Document | None:
    """Move large parts out of a document, and return them as one of their own."""
    size = sum(len(document.get(name) or "") for name in ("text", "html"))
    size += sum(len(a["content"]) for a in document["attachments"])
    if size <= LARGEST_INLINE:
        return None
    payload = {name: document.pop(name) for name in LARGE_FIELDS if name in document}
    document["payload"] = True
    return {"_id": document["_id"], "at": document["created_at"], **payload}
