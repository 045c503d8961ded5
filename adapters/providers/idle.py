"""Connections that are kept for the next call, whatever protocol they speak."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

#: Seconds after which an idle connection is not used again: below the 60 s or more
#: after which load balancers drop them, so that we rarely write into a closed one.
MAX_IDLE_S = 20.0

#: Idle connections kept at most: as many as a worker has send threads by default.
MAX_IDLE = 32


class Kept(Protocol):
    """What can be kept."""

    @property
    def is_dropped(self) -> bool:
        """Whether the other side has closed it, as far as can be seen from here."""
        ...

    def drop(self) -> None:
        """Close it for good. Never raises."""
        ...


K = TypeVar("K", bound=Kept)


class Idle(Generic[K]):
    """Kept connections, the youngest first, so that surplus ones grow old and go."""

    def __init__(self, max_idle_s: float = MAX_IDLE_S) -> None:
        self._max_idle_s = max_idle_s
        self._kept: deque[tuple[float, K]] = deque()
        self._lock = threading.Lock()

    def take(self) -> K | None:
        """Return one that is young and still open."""
        while True:
            with self._lock:
                if not self._kept:
                    return None
                since, connection = self._kept.pop()
            young = time.monotonic() - since <= self._max_idle_s
            if young and not connection.is_dropped:
                return connection
            connection.drop()

    def put(self, connection: K) -> None:
        """Keep one; the oldest go if there are too many or they are too old."""
        now = time.monotonic()
        gone = []
        with self._lock:
            self._kept.append((now, connection))
            while (
                len(self._kept) > MAX_IDLE or now - self._kept[0][0] > self._max_idle_s
            ):
                gone.append(self._kept.popleft()[1])
        for old in gone:
            old.drop()

    def close(self) -> None:
        """Drop all of them."""
        with self._lock:
            gone, self._kept = self._kept, deque()
        for _, connection in gone:
            connection.drop()
