"""Several new emails, or emails and their key, in one transaction of MongoDB.

The key comes last: a process that is killed before has left nothing that could be in
its repetition's way. Killed between the key and the commit, it leaves a transaction
that nobody ends, and whoever repeats the request is told to wait until MongoDB gives it
up, 60 s later (``transactionLifetimeLimitSeconds``).

Not every server that speaks MongoDB's protocol has a commit on its disk when it says
so, whatever it was asked for. A plain write is there, and with it all that was written
before. So nobody is told of a commit before a count in its receipt has been written.
Why so: docs/adr/0042-idempotency-keys-of-clients.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pymongo
from bson import ObjectId
from bson.errors import InvalidDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    OperationFailure,
    PyMongoError,
)

from ..domain.email import Email, State
from ..domain.errors import (
    KeyInUseError,
    NoTransactionsError,
    NotStoredError,
    StorageUnsureError,
    StoreError,
    StoreUnavailableError,
)
from ..domain.idempotency import KEEP_KEY, Receipt, Taken, Unfit
from .failpoints import Around, nothing_around
from .mongo_codec import to_document
from .mongo_inserts import INSERT_BUDGET_S, is_refusal, split_payload
from .mongo_store import KEYS, Document, durable

#: How long a key may be looked for, in seconds. It comes off the budget of what is
#: inserted under it, so that the client of both has its answer as soon as any other.
RECALL_S = 1.0

#: How often a key that somebody has in hand is tried before its client is told.
TRIES = 4

#: Pause between two tries, in seconds: another request with the key needs less.
PAUSE_S = 0.05

#: A server that stands alone has no transactions.
_NO_TRANSACTIONS = frozenset({20, 263})

#: What a write is told that comes second: the first one is not committed, or is.
_CONFLICTS = frozenset({112, 11000})


class _UnclearError(Exception):
    """A commit was sent, and whether it was done is not known."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """All the documents of one request."""

    emails: list[Document]
    payloads: list[Document]
    receipt: Receipt


class MongoIntake:
    """Implements ``Intake`` over the collections of the store, and ``idempotency``."""

    def __init__(
        self, database: Database[Document], *, around: Around = nothing_around
    ) -> None:
        """Use a database.

        Args:
            database: That of the emails.
            around: Put around each step of a transaction, for tests.
        """
        self._database = durable(database)
        self._keys = self._database[KEYS]
        self._emails = self._database["emails"]
        self._payloads = self._database["payloads"]
        self._put_emails = around("intake.emails", self._put_emails_now)
        self._put_key = around("intake.key", self._put_key_now)
        self._commit = around("intake.commit", self._commit_now)

    def recall(self, name: str) -> Receipt | None:
        """Return what is kept under a key; see ``Intake.recall``."""
        try:
            with pymongo.timeout(RECALL_S):
                return self._recall(name)
        except PyMongoError as ex:
            raise StoreUnavailableError("recall: the store did not answer") from ex

    def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
        """Store all or nothing; see ``Intake.insert_together``."""
        whole = _whole(emails, receipt)
        budget_s = INSERT_BUDGET_S - (RECALL_S if receipt.has_key else 0.0)
        end = time.monotonic() + budget_s
        is_unclear, conflicts = False, 0
        last: Exception | None = None
        with pymongo.timeout(budget_s):
            while time.monotonic() < end:
                try:
                    self._transact(whole)
                except _UnclearError as ex:
                    last, is_unclear = ex, True
                except InvalidDocument as ex:
                    raise NotStoredError("too large for the store") from ex
                except PyMongoError as ex:
                    last = ex
                    if not is_unclear:
                        _raise_refusal(ex)
                else:
                    return receipt
                if (kept := self._look(receipt)) is not None:
                    return kept
                conflicts += _is_conflict(last)
                if conflicts >= TRIES and receipt.has_key and not is_unclear:
                    break
                time.sleep(min(PAUSE_S, max(0.0, end - time.monotonic())))
        raise _gave_up(receipt, is_unclear=is_unclear, conflicts=conflicts) from last

    def _transact(self, whole: _Whole) -> None:
        """Do all of it, or nothing.

        Raises:
            _UnclearError: Only from the commit: nobody knows whether it was done.
        """
        # A session that is left with its transaction open gives it up.
        with self._database.client.start_session() as session:
            session.start_transaction(
                read_concern=self._database.read_concern,
                write_concern=self._database.write_concern,
                read_preference=self._database.read_preference,
            )
            self._put_emails(whole, session)
            self._put_key(whole.receipt, session)
            self._commit(whole.receipt, session)

    def _put_emails_now(self, whole: _Whole, session: ClientSession) -> None:
        if whole.payloads:
            self._payloads.insert_many(whole.payloads, session=session)
        self._emails.insert_many(whole.emails, session=session)

    def _put_key_now(self, receipt: Receipt, session: ClientSession) -> None:
        self._keys.insert_one(_to_key(receipt), session=session)

    def _commit_now(self, receipt: Receipt, session: ClientSession) -> None:
        try:
            session.commit_transaction()
            is_there = self._tell(_name(receipt))
        except PyMongoError as ex:
            raise _UnclearError from ex
        if not is_there:
            raise _UnclearError  # the server has started anew, and without it

    def _look(self, receipt: Receipt) -> Receipt | None:
        """Return the receipt that is there: our own, or that of another request.

        It is what tells after an unclear commit, and for whoever comes second: a key
        that is there already may not be on a majority yet.
        """
        try:
            kept = self._recall(_name(receipt))
        except PyMongoError:
            return None
        is_own = kept is not None and kept.email_ids == receipt.email_ids
        return receipt if is_own else kept

    def _recall(self, name: str) -> Receipt | None:
        document = self._keys.find_one({"_id": name})
        if document is None or not self._tell(name):
            return None
        return _to_receipt(document)

    def _tell(self, name: str) -> bool:
        """Make a receipt last and count that it is told; say whether it is there."""
        told = self._keys.update_one({"_id": name}, {"$inc": {"told": 1}})
        return told.matched_count == 1


def _whole(emails: Sequence[Email], receipt: Receipt) -> _Whole:
    documents = [to_document(email) for email in emails]
    payloads = [split_payload(document) for document in documents]
    return _Whole(documents, [p for p in payloads if p is not None], receipt)


def _raise_refusal(ex: PyMongoError) -> None:
    """Tell of what will not be better next time. Nothing was committed yet.

    Raises:
        NotStoredError: The store has said no.
    """
    if isinstance(ex, ConfigurationError) or _code(ex) in _NO_TRANSACTIONS:
        raise NoTransactionsError("the store has no transactions") from ex
    is_passing = ex.has_error_label("TransientTransactionError") or _is_conflict(ex)
    if is_refusal(ex) and not is_passing:
        raise NotStoredError("refused by the store") from ex


def _is_conflict(ex: Exception | None) -> bool:
    return _code(ex) in _CONFLICTS


def _code(ex: Exception | None) -> int | None:
    """Return what the server calls an error; that of the first document of many."""
    if isinstance(ex, BulkWriteError):
        errors = (ex.details or {}).get("writeErrors") or [{}]
        code: int | None = errors[0].get("code")
        return code
    return ex.code if isinstance(ex, OperationFailure) else None


def _gave_up(receipt: Receipt, *, is_unclear: bool, conflicts: int) -> StoreError:
    if is_unclear:
        return StorageUnsureError(
            "the store did not say in time whether it has the emails",
            email_id=receipt.email_ids[0],
            email_ids=receipt.email_ids,
            has_key=receipt.has_key,
        )
    if receipt.has_key and conflicts:
        return KeyInUseError("another request has the key in hand")
    return NotStoredError("the store did not take it in time")


def _name(receipt: Receipt) -> str:
    """Return what a receipt is kept under; without a key nobody asks for it."""
    return receipt.name or f"batch {receipt.email_ids[0]}"


def _to_key(receipt: Receipt) -> Document:
    return {
        "_id": _name(receipt),
        "fingerprint": receipt.fingerprint,
        "emails": [
            {"id": ObjectId(taken.email_id), "state": taken.state.value}
            for taken in receipt.emails
        ],
        "unfit": [{"index": u.index, "message": u.message} for u in receipt.unfit],
        "at": receipt.at,
        "look_at": receipt.at + KEEP_KEY,
        "told": 0,
    }


def _to_receipt(document: Document) -> Receipt:
    emails: list[dict[str, Any]] = document["emails"]
    return Receipt(
        name=document["_id"],
        fingerprint=document["fingerprint"],
        emails=tuple(
            Taken(email_id=str(e["id"]), state=State(e["state"])) for e in emails
        ),
        unfit=tuple(
            Unfit(index=u["index"], message=u["message"]) for u in document["unfit"]
        ),
        at=document["at"],
    )
