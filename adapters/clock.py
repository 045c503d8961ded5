"""The clocks: MongoDB's time for everybody, this machine's, and one for tests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import structlog
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from ..domain.errors import ClockUnsureError

log = structlog.get_logger(__name__)

#: How often the offset is measured again.
REFRESH_EVERY = timedelta(seconds=30)

#: How soon after a failed measurement.
REFRESH_AGAIN = timedelta(seconds=5)

#: An offset older than this is not believed: a lease counted by it might be wrong.
LONGEST_TRUST = timedelta(minutes=5)

#: A measurement that took longer than this says too little: the server's time may be
#: off by half of it.
LONGEST_TRIP = timedelta(seconds=2)

#: After a failed first measurement others fail at once for so long, so that requests
#: do not queue up to wait for a server that is away.
FAILURE_MEMORY = timedelta(seconds=1)


def steady() -> float:
    """Return seconds of a clock that never jumps, of a machine asleep included.

    The plain monotonic clock of Linux stands still while a machine is suspended;
    the server's time does not.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def ask_server(client: MongoClient[Any]) -> datetime:
    """Return the primary's time.

    Raises:
        PyMongoError: It did not answer within `LONGEST_TRIP`.
    """
    with pymongo.timeout(LONGEST_TRIP.total_seconds()):
        local_time: datetime = client.admin.command("hello")["localTime"]
    # Naive where the client is not told to be aware of zones; always in UTC.
    return local_time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Sight:
    """The server's time as it was seen once: one value, so threads see both parts."""

    server: datetime
    steady: float


class ServerClock:
    """`postroom.domain.ports.Clock` over MongoDB: one time for all processes.

    The server's time is measured against a steady clock of this machine, so that the
    machine's own date may be wrong. The first `now` measures at once; from then on a
    thread of the process does it every 30 s. Nothing starts before the first `now`,
    and a forked process starts a thread of its own.

    Args:
        client: Of the store.
        ask: Asks it for its time.
        steady: Seconds of a clock that never jumps.
    """

    def __init__(
        self,
        client: MongoClient[Any],
        *,
        ask: Callable[[MongoClient[Any]], datetime] = ask_server,
        steady: Callable[[], float] = steady,
    ) -> None:
        self._client = client
        self._ask = ask
        self._steady = steady
        self._sight: _Sight | None = None
        self._failed_at: float | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def now(self) -> datetime:
        """Return the server's time; it may step back by a few milliseconds.

        Raises:
            ClockUnsureError: It was not seen for five minutes, or never.
        """
        if self._pid != os.getpid():
            self._start()
        sight = self._sight or self._first_sight()
        age = timedelta(seconds=self._steady() - sight.steady)
        if age > LONGEST_TRUST:
            raise ClockUnsureError(
                f"the store's time was last seen {age.total_seconds():.0f} s ago, "
                f"expected {LONGEST_TRUST.total_seconds():.0f} s at most",
            )
        return sight.server + age

    def monotonic(self) -> float:
        """Return seconds of the steady clock."""
        return self._steady()

    def refresh(self) -> None:
        """Measure the offset now.

        Raises:
            ClockUnsureError: The store did not answer, or took too long.
        """
        begun = self._steady()
        try:
            server = self._ask(self._client)
        except (PyMongoError, OSError, KeyError) as ex:
            raise ClockUnsureError("the store did not tell its time") from ex
        trip = self._steady() - begun
        if trip > LONGEST_TRIP.total_seconds():
            raise ClockUnsureError(
                f"the store took {trip:.1f} s to tell its time, expected "
                f"{LONGEST_TRIP.total_seconds():g} s at most",
            )
        # It read its clock somewhere within the trip: the middle is the best guess.
        self._sight = _Sight(server, begun + trip / 2)

    def close(self) -> None:
        """End the thread; `now` goes on with what was measured last."""
        self._stop.set()

    def _first_sight(self) -> _Sight:
        with self._lock:
            if self._sight is None:
                self._refuse_if_just_failed()
                try:
                    self.refresh()
                except ClockUnsureError:
                    self._failed_at = self._steady()
                    raise
            assert self._sight is not None  # noqa: S101 - refresh has set it
            return self._sight

    def _refuse_if_just_failed(self) -> None:
        if (
            self._failed_at is not None
            and self._steady() - self._failed_at < FAILURE_MEMORY.total_seconds()
        ):
            raise ClockUnsureError("the store's time has never been seen")

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        threading.Thread(target=self._run, name="server-clock", daemon=True).start()

    def _run(self) -> None:
        wait = REFRESH_EVERY
        while not self._stop.wait(wait.total_seconds()):
            try:
                self.refresh()
                wait = REFRESH_EVERY
            except ClockUnsureError as ex:
                log.warning("clock.refresh_failed", reason=str(ex))
                wait = REFRESH_AGAIN


class SystemClock:
    """This machine's own date: for commands that run without a store."""

    def now(self) -> datetime:
        """Return the machine's time."""
        return datetime.now(UTC)  # noqa: TID251 - an adapter of the clock

    def monotonic(self) -> float:
        """Return seconds of the steady clock."""
        return steady()


class FakeClock:
    """The twin for tests: it moves when it is told to."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def advance(self, by: timedelta) -> None:
        """Move both times on."""
        with self._lock:
            self._now += by
            self._monotonic += by.total_seconds()

    def now(self) -> datetime:
        """Return the time that it was moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that moved on together with it."""
        return self._monotonic
