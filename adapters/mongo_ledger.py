"""The ledger in MongoDB: how many emails this process has accepted, by the hour.

Counting costs an email no trip: the counts are written together, every two seconds,
and only when there are new ones. Each process has its own line for each hour and writes
how many it has counted so far, never how many more; so a write that is repeated, or of
which nobody knows whether it was done, cannot count anything twice.
Why so: docs/adr/0032-conservation.md.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from threading import Event, Lock, Thread

import pymongo
import structlog
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from ..domain.conservation import hour_of
from .mongo_store import OPERATION_S, Document, durable

log = structlog.get_logger(__name__)

#: How long a count waits to be written, in seconds: what a kill can cost.
WRITE_EVERY_S = 2.0

#: Bound on the last write of a process that ends, in seconds.
LAST_WRITE_S = 2.0

#: Hours that lie so far behind the latest are not counted any more, and are forgotten.
PAST = timedelta(hours=2)


class MongoLedger:
    """Implements ``Ledger`` over the collection ``ledger``."""

    def __init__(self, database: Database[Document], *, writer: str) -> None:
        """Begin a line of its own; a thread that writes it starts when it is needed.

        Args:
            database: That of the emails.
            writer: A name that no other process has, nor had.
        """
        self._lines = durable(database)["ledger"]
        self._writer = writer
        self._counts: Counter[datetime] = Counter()
        self._written: Counter[datetime] = Counter()
        self._lock = Lock()
        self._writing = Lock()
        self._ended = Event()
        self._thread: Thread | None = None
        self._is_behind = False

    def accepted(self, email_id: str) -> None:
        """Count an accepted email; see ``Ledger.accepted``."""
        hour = hour_of(email_id)
        with self._lock:
            self._counts[hour] += 1
            if self._thread is None and not self._ended.is_set():
                self._thread = Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()

    def write(self, *, bound_s: float = OPERATION_S) -> bool:
        """Write what is new. Never raises.

        Args:
            bound_s: In seconds.

        Returns:
            Whether all is written.
        """
        with self._writing:
            with self._lock:
                new = {h: n for h, n in self._counts.items() if n > self._written[h]}
            if not new:
                return True
            try:
                with pymongo.timeout(bound_s):
                    self._lines.bulk_write(self._updates(new), ordered=False)
            except PyMongoError as ex:
                self._note_failure(ex)
                return False
            self._is_behind = False
            self._note_written(new)
            return True

    def close(self) -> None:
        """Write what is left, and count no further."""
        self._ended.set()
        self.write(bound_s=LAST_WRITE_S)

    def _run(self) -> None:
        while not self._ended.wait(WRITE_EVERY_S):
            self.write()

    def _updates(self, counts: dict[datetime, int]) -> list[UpdateOne]:
        return [
            UpdateOne(
                {"_id": f"{hour:%Y-%m-%dT%HZ}/{self._writer}"},
                {"$max": {"accepted": count}, "$setOnInsert": {"hour": hour}},
                upsert=True,
            )
            for hour, count in counts.items()
        ]

    def _note_written(self, counts: dict[datetime, int]) -> None:
        with self._lock:
            self._written.update(
                {hour: count - self._written[hour] for hour, count in counts.items()}
            )
            latest = max(self._written)
            for hour in [h for h in self._written if latest - h > PAST]:
                if self._counts[hour] == self._written[hour]:
                    del self._counts[hour], self._written[hour]

    def _note_failure(self, ex: PyMongoError) -> None:
        if not self._is_behind:
            log.warning("ledger.behind", error=type(ex).__name__)
        self._is_behind = True
