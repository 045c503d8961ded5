"""A bound on the whole of a call, kept by one thread for all calls of a process.

The timeouts of a socket are per operation: an answer of one byte a second never runs
into one. So whoever makes a call arms a guard, and when its time is over the watchdog
shuts the connection down, which ends whatever the caller is waiting in.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import socket
import threading
import time


class Guard:
    """The bound on one call: fires once, unless it is disarmed before."""

    __slots__ = ("_lever", "_lock", "deadline", "done", "fired", "writing")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.fired = False
        self.done = False
        #: Whether a byte of the request may have left.
        self.writing = False
        self._lever: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        """Return the seconds left, at least a little, as sockets want it."""
        return max(self.deadline - time.monotonic(), 0.001)

    def attach(self, lever: socket.socket) -> None:
        """Name the socket to shut down; at once, if the time is over already."""
        with self._lock:
            self._lever = lever
            if self.fired:
                _shut_down(lever)

    def may_write(self) -> bool:
        """Return whether the request may begin to leave; after this it may have."""
        with self._lock:
            self.writing = not self.fired and time.monotonic() < self.deadline
            return self.writing

    def disarm(self) -> bool:
        """End the bound. Returns whether it had fired."""
        with self._lock:
            self.done = True
            self._lever = None
            return self.fired

    def fire(self) -> None:
        """Shut the connection down. Called by the watchdog alone."""
        with self._lock:
            if self.done:
                return
            self.fired = self.done = True
            if self._lever is not None:
                _shut_down(self._lever)


class Watchdog:
    """Fires guards in time. Its thread starts with the first of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Guard]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def arm(self, timeout_s: float) -> Guard:
        """Return a guard that fires after ``timeout_s`` seconds."""
        guard = Guard(time.monotonic() + timeout_s)
        with self._wake:
            heapq.heappush(self._heap, (guard.deadline, next(self._order), guard))
            if self._thread is None or not self._thread.is_alive():
                # Also in a forked child, where the parent's thread is not.
                self._thread = threading.Thread(
                    target=self._run, name="provider-watchdog", daemon=True
                )
                self._thread.start()
            elif self._heap[0][2] is guard:
                self._wake.notify()
        return guard

    def _run(self) -> None:
        while True:
            self._next_due().fire()

    def _next_due(self) -> Guard:
        with self._wake:
            while True:
                # Calls that have ended are dropped without waiting for their time, so
                # that a busy process wakes once per timeout and not once per call.
                while self._heap and self._heap[0][2].done:
                    heapq.heappop(self._heap)
                wait_s = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wake.wait(wait_s)


def _shut_down(lever: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have been faster
        lever.shutdown(socket.SHUT_RDWR)


#: The one of this process.
WATCHDOG = Watchdog()
