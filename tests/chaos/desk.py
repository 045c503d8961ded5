"""Whoever changes their mind: cancels, moves and redrives, through the services.

The use cases are put together as the command line does it, over the same proxies as
the processes, so that the faults hit them too.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from postroom.adapters import logs
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import build
from postroom.domain.email import Email
from postroom.domain.errors import (
    ClockUnsureError,
    ForbiddenTransitionError,
    StoreUnavailableError,
)
from postroom.services.cancel import Cancel
from postroom.services.redrive import Redrive
from postroom.services.reschedule import Reschedule
from tests.chaos.evidence import DONE, REFUSED, UNSURE, Ledger, Verb
from tests.chaos.house import House
from tests.chaos.load import Wish

#: Of the emails for later, how many are cancelled, and how many are moved.
CANCELLED, MOVED = 0.35, 0.35

#: Of the others, how many are cancelled at once: a race with their sending.
CANCELLED_AT_ONCE = 0.04

#: How long one that is refused is left to become a dead letter, in seconds.
REDRIVE_AFTER_S = (2.0, 6.0)

#: How much later or sooner than now a moved one is to go, in seconds.
MOVED_BY_S = (1.0, 6.0)

WORKERS = 16


class Desk:
    """Acts on some of the accepted emails, from `with` to its end."""

    def __init__(self, house: House, folder: Path, *, seed: int, until: float) -> None:
        settings = Settings.from_env(house.environ)
        logs.configure(settings.env, secrets=settings.secrets, level=logging.CRITICAL)
        self._parts = build(settings)
        shared: dict[str, Any] = {
            "store": self._parts.store,
            "clock": self._parts.clock,
        }
        more = shared | {"hints": self._parts.hints, "policy": settings.policy}
        self._cancel = Cancel(**shared)
        self._reschedule = Reschedule(**more)
        self._redrive = Redrive(**more)
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
        self._parts.close()

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

    def _act(
        self, name: str, email_id: str, wait_s: float, to: float | None = None
    ) -> None:
        if self._stop.wait(wait_s):
            return
        asked_at = time.time()
        answer = _answer(lambda: self._ask(name, email_id, to))
        verb = Verb(
            name=name,
            email_id=email_id,
            asked_at=asked_at,
            answered_at=time.time(),
            answer=answer,
            to=to,
        )
        self._ledger.add(verb)

    def _ask(self, name: str, email_id: str, to: float | None) -> Email:
        if name == "cancel":
            return self._cancel(email_id)
        if name == "redrive":
            return self._redrive(email_id)
        assert to is not None
        return self._reschedule(email_id, to=datetime.fromtimestamp(to, UTC))


def _answer(ask: Callable[[], Email]) -> str:
    try:
        ask()
    except (ForbiddenTransitionError, ClockUnsureError):
        return REFUSED
    except StoreUnavailableError:
        return UNSURE
    except Exception as ex:  # noqa: BLE001 - the judge shows it
        return type(ex).__name__
    return DONE
