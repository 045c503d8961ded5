"""A load generator that costs little: keep-alive connections on one event loop.

A process of its own, so that its work counts for nobody else. It reads one order as
JSON from its standard input and prints one answer::

    {"port": 8000, "path": "/api/emails", "headers": {...}, "body": "...",
     "connections": 16, "seconds": 2.0, "warm_s": 0.3, "count": null}

With a `count` it ends after so many requests, whatever the time.
"""

from __future__ import annotations

import json
import math
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"

#: Bound on a request, in seconds; only a hang reaches it.
PATIENCE_S = 30.0

_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send, how much of it, and where.

    Attributes:
        seconds: How long.
        warm_s: What is answered within this after the start is not timed.
        count: How many requests instead; they are all timed.
    """

    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    connections: int = 1
    seconds: float = 2.0
    warm_s: float = 0.3
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of an order.

    Attributes:
        requests: All that were answered.
        per_s: Answers a second, after the warm-up.
        p50_ms: Time to the whole answer, after the warm-up.
        statuses: How often there was which.
        cpu_ms: What a request cost the client.
    """

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    statuses: Mapping[str, int]
    cpu_ms: float

    def only(self, status: int) -> Answers:
        """Return them, if there was no other status.

        Raises:
            RuntimeError: There was: then the figures say nothing.
        """
        if set(self.statuses) != {str(status)}:
            raise RuntimeError(f"answers other than {status}: {dict(self.statuses)}")
        return self


def run(order: Order) -> Answers:
    """Send, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
        timeout=order.seconds + 20 * PATIENCE_S,
    )
    if done.returncode:
        raise RuntimeError(f"the client has failed:\n{done.stderr}")
    return Answers(**json.loads(done.stdout))


class Line:
    """One connection, which sends its next request when the last one is answered."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection((HOST, port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._read = b""
        self.began = 0.0

    def send(self) -> None:
        """Send the request: it is small, so this does not wait."""
        self.began = time.perf_counter()
        self.socket.sendall(self._request)

    def status(self) -> str | None:
        """Read what is there; return the status if that was the whole answer."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("closed in the middle")
        self._read += data
        head, mark, body = self._read.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if not mark or (found and len(body) < int(found[1])):
            return None
        self._read = b""
        return head[9:12].decode()


class Load:
    """Sends over all lines until the end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._selector = selectors.DefaultSelector()
        self._request = _request(order)
        self._sent = 0
        self._statuses: Counter[str] = Counter()
        self._waits: list[float] = []
        self._used_s = time.process_time()  # to start counts for nobody

    def run(self) -> Answers:
        """Send, and wait for what is on its way."""
        order = self._order
        began = time.perf_counter()
        warm = began + (0 if order.count else order.warm_s)
        end = math.inf if order.count else began + order.seconds
        for _ in range(order.connections):
            self._open()
        last = warm
        while self._selector.get_map():
            for key, _ in self._selector.select(PATIENCE_S) or _hung():
                line: Line = key.data
                status = self._status(line)
                if status is None:
                    continue
                now = time.perf_counter()
                self._statuses[status] += 1
                if now >= warm:
                    self._waits.append(now - line.began)
                    last = now
                self._go_on(line, is_over=now >= end)
        return self._answers(last - warm)

    def _open(self) -> None:
        line = Line(self._order.port, self._request)
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        self._go_on(line, is_over=False)

    def _go_on(self, line: Line, *, is_over: bool) -> None:
        count = self._order.count
        if is_over or (count is not None and self._sent >= count):
            self._close(line)
            return
        self._sent += 1
        line.send()

    def _status(self, line: Line) -> str | None:
        try:
            return line.status()
        except OSError:
            self._statuses["reset"] += 1
            self._close(line)
            return None

    def _close(self, line: Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()

    def _answers(self, seconds: float) -> Answers:
        waits = sorted(self._waits)
        requests = sum(self._statuses.values())
        used_s = time.process_time() - self._used_s
        return Answers(
            requests=requests,
            per_s=len(waits) / seconds if seconds > 0 else 0.0,
            p50_ms=percentile(waits, 50) * 1000,
            p99_ms=percentile(waits, 99) * 1000,
            statuses=dict(self._statuses),
            cpu_ms=used_s * 1000 / max(requests, 1),
        )


def percentile(ordered: list[float], percent: int) -> float:
    """Return the value below which so many percent lie; 0 where there is none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _hung() -> Any:
    raise TimeoutError(f"no answer for {PATIENCE_S:.0f} s")


def _request(order: Order) -> bytes:
    body = order.body.encode()
    headers = {**order.headers, "Host": HOST, "Content-Length": str(len(body))}
    lines = [f"POST {order.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    print(json.dumps(asdict(Load(Order(**json.load(sys.stdin))).run())))
