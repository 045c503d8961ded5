"""Ports of the loopback interface, each given to one test only.

Several workers of pytest-xdist choose at the same time, and between the choice and
the server that listens there may be seconds.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from zlib import crc32

HOST = "127.0.0.1"

#: Under those that Linux and macOS give to outgoing connections: one of these may come
#: between the choice of a port and its server.
PORTS = range(12_000, 32_000)

#: What a worker may give before it comes to the next one's.
SHARE = 1_000


def _ports() -> Iterator[int]:
    """Yield all ports again and again, from a place of this worker's own."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(random.random())  # noqa: S311
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in itertools.count(crc32(run.encode()) + worker * SHARE):
        yield PORTS[number % len(PORTS)]


_next_ports = _ports()


def a_port() -> int:
    """Return a TCP port that nobody listens on, and that was not given before."""
    return next(port for port in _next_ports if _is_free(port))


def ports_in_a_row(count: int) -> int:
    """Return the first of so many free ports: all of them are the caller's.

    For processes that share a setting and take the next free port each: one that was
    given to somebody else may be free still when they come to it.
    """
    while True:
        first = a_port()
        rest = [a_port() for _ in range(count - 1)]
        if rest == list(range(first + 1, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True
