"""Requests with a key are made again: as its clients do, and as nobody should.

A client that got no answer repeats its request until it has one. Others make it twice
at the same time, or once more when it was answered long ago.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.wishes import Request

#: Of the requests with a key, how many are made from two threads at once, and how
#: many of those that were accepted are made again later.
AT_ONCE, LATER = 0.15, 0.35

#: How much later, in seconds, and how long a client waits that got no answer.
LATER_S, AGAIN_S = (0.0, 10.0), (0.1, 3.0)

#: How often a client repeats a request that is not answered.
TRIES = 8

#: How many are made again in the end, at most.
IN_THE_END = 400

#: How long one of two waits for the other, in seconds.
LATE_S = 1.0

WORKERS = 32


class Repeats:
    """Makes requests, from the first time to the last.

    Args:
        post: Makes a request once, and says whether it was accepted.
    """

    def __init__(self, post: Callable[[Request], bool], *, seed: int) -> None:
        self._post = post
        self._draw = random.Random(f"{seed} repeats")  # noqa: S311 - a test's
        self._accepted: dict[str | None, Request] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS)

    def stop(self) -> None:
        """Wait for what is in hand; what would be made again later is not."""
        with self._lock:
            self._stop.set()
        self._pool.shutdown()

    def begin(self, request: Request) -> None:
        """Make a request for the first time, perhaps from two threads at once."""
        if self._chance() < AT_ONCE:
            gate = threading.Barrier(2)
            self._submit(self._at, gate, request)
            self._at(gate, request)
        else:
            self._try(request, 1)

    def all_again(self) -> None:
        """Make requests again that were accepted, so many at most."""
        accepted = list(self._accepted.values())
        chosen = self._draw.sample(accepted, min(IN_THE_END, len(accepted)))
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(self._post, chosen))

    def _at(self, gate: threading.Barrier, request: Request) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(LATE_S)
        self._try(request, 1)

    def _try(self, request: Request, tries: int) -> None:
        if self._post(request):
            with self._lock:
                self._accepted[request.key] = request
            if self._chance() < LATER:
                self._submit(self._again, request, self._uniform(*LATER_S), TRIES)
        elif tries < TRIES:
            self._submit(self._again, request, self._uniform(*AGAIN_S), tries + 1)

    def _again(self, request: Request, wait_s: float, tries: int) -> None:
        if not self._stop.wait(wait_s):
            self._try(request, tries)

    def _submit(self, do: Callable[..., None], *args: object) -> None:
        # After the stop nothing is submitted: the pool takes no more.
        with self._lock:
            if not self._stop.is_set():
                self._pool.submit(do, *args)

    def _chance(self) -> float:
        with self._lock:
            return self._draw.random()

    def _uniform(self, low: float, high: float) -> float:
        with self._lock:
            return self._draw.uniform(low, high)
