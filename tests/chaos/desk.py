"""Whoever changes their mind: cancels, moves and redrives, over HTTP."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.asking import ask
from tests.chaos.evidence import DONE, REFUSED, UNSURE, Ledger, Verb
from tests.chaos.wishes import Wish
from tests.e2e.service import Service

#: Of the emails for later, how many are cancelled, and how many are moved.
CANCELLED, MOVED = 0.35, 0.35

#: Of the others, how many are cancelled at once: a race with their sending.
CANCELLED_AT_ONCE = 0.04

#: And how many by force, when most are sent and some are in doubt.
FORCED = 0.04

#: How long one that is refused is left to become a dead letter, in seconds.
REDRIVE_AFTER_S = (2.0, 6.0)

#: How much later or sooner than now a moved one is to go, in seconds.
MOVED_BY_S = (1.0, 6.0)

WORKERS = 16

#: The method, the end of the path, and the body of each verb but the move.
ORDERS = {
    "cancel": ("POST", "/cancel", None),
    "cancel_by_force": ("POST", "/cancel", {"force": True}),
    "redrive": ("POST", "/retry", None),
}


class Desk:
    """Acts on some of the accepted emails, from `with` to its end."""

    def __init__(
        self, service: Service, folder: Path, *, seed: int, until: float
    ) -> None:
        self._service = service
        self._ledger = Ledger(folder, "verbs")
        self._draw = random.Random(f"{seed} desk")  # noqa: S311 - a test's
        self._until = until
        self._pool = ThreadPoolExecutor(WORKERS)
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._ledger.close()

    def told(self, wish: Wish, email_id: str) -> None:
        """Perhaps do something about an email that was just accepted."""
        if self._stop.is_set():
            return
        with self._lock:
            chance, wait = self._draw.random(), self._draw.random()
            to = round(time.time() + self._draw.uniform(*MOVED_BY_S), 3)
            redrive_after = self._draw.uniform(*REDRIVE_AFTER_S)
        if wish.is_refused:
            self._pool.submit(self._act, "redrive", email_id, redrive_after)
        elif wish.scheduled_at is not None and chance < CANCELLED:
            self._pool.submit(self._act, "cancel", email_id, wait * 3)
        elif wish.scheduled_at is not None and chance < CANCELLED + MOVED:
            to = min(to, self._until)
            self._pool.submit(self._act, "reschedule", email_id, wait, to)
        elif chance < CANCELLED_AT_ONCE:
            self._pool.submit(self._act, "cancel", email_id, wait / 20)
        elif chance < CANCELLED_AT_ONCE + FORCED:
            self._pool.submit(self._act, "cancel_by_force", email_id, wait * 4)

    def _act(
        self, name: str, email_id: str, wait_s: float, to: float | None = None
    ) -> None:
        if self._stop.wait(wait_s):
            return
        asked_at = time.time()
        answer = self._ask(name, email_id, to)
        verb = Verb(
            name=name,
            email_id=email_id,
            asked_at=asked_at,
            answered_at=time.time(),
            answer=answer,
            to=to,
        )
        self._ledger.add(verb)

    def _ask(self, name: str, email_id: str, to: float | None) -> str:
        path = f"/api/emails/{email_id}"
        if to is None:
            method, verb, body = ORDERS[name]
            status, _ = ask(self._service, method, path + verb, body)
        else:
            at = datetime.fromtimestamp(to, UTC).isoformat(timespec="milliseconds")
            status, _ = ask(self._service, "PATCH", path, {"scheduled_at": at})
        return _meaning(status)


def _meaning(status: int | str) -> str:
    """Return what an answer says of the change; one of our faults says it itself."""
    match status:
        case 200 | 202:
            return DONE
        case 409:
            return REFUSED
        case 503 | str():
            return UNSURE
        case _:
            return f"HTTP {status}"
