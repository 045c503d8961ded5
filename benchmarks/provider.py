"""A provider that costs little: it takes every email and notes when it came.

The fake of the tests parses each call, keeps it and syncs a journal; on two cores that
would be a good part of what is measured. This one speaks as much of SendGrid's HTTP as
the product needs.

    python -m benchmarks.provider PORT

`POST /_delay` with a number of milliseconds: how long each call takes from now on.
`GET /_taken`: `[[email id, epoch seconds], ...]` in order; `DELETE` forgets them.
`GET /_count`: how many these are.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import urllib.request
from typing import Any

from benchmarks.connection import Connection

HOST = "127.0.0.1"

_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_EMAIL_ID = re.compile(rb'"postroom_email_id":\s*"([0-9a-f]{24})"')
_ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nX-Message-Id: %d\r\nContent-Length: 0\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


class Desk:
    """What was taken, and how slowly."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self.delay_s = 0.0

    def control(self, line: bytes, body: bytes) -> Any:
        """Do what is asked by a path of its own; return the answer."""
        method, path, _ = line.split(b" ", 2)
        if path == b"/_delay":
            self.delay_s = json.loads(body) / 1000
        elif method == b"DELETE":
            self.taken.clear()
        elif path == b"/_count":
            return len(self.taken)
        elif method == b"GET":
            return self.taken
        return {}


class Caller(Connection):
    """One connection of the product, or of the bench."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def length_of(self, read: bytearray) -> int | None:
        """Return how long the first request is, if it is there."""
        end = read.find(b"\r\n\r\n")
        if end < 0:
            return None
        found = _LENGTH.search(bytes(read[:end]))
        length = end + 4 + (int(found[1]) if found else 0)
        return length if length <= len(read) else None

    def answer(self, request: bytes) -> None:
        """Take an email, or do what the bench asks for."""
        head, _, body = request.partition(b"\r\n\r\n")
        self._answer(head.split(b"\r\n", 1)[0], body)

    def _answer(self, line: bytes, body: bytes) -> None:
        if b" /_" in line:
            said = json.dumps(self._desk.control(line, body)).encode()
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said))
            self.write(said)
            return
        found = _EMAIL_ID.search(body)
        email_id = found[1].decode() if found else ""
        self._desk.taken.append((email_id, time.time()))
        answer = _ACCEPTED % len(self._desk.taken)
        if self._desk.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._desk.delay_s, self.write, answer)
        else:
            self.write(answer)


class Remote:
    """Gives orders to a provider in another process."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"

    def is_there(self) -> bool:
        """Return whether it answers."""
        try:
            self.taken()
        except OSError:
            return False
        return True

    def delay(self, delay_ms: int) -> None:
        """Let each call take so long from now on."""
        self._ask("POST", "/_delay", delay_ms)

    def forget(self) -> None:
        """Forget what was taken."""
        self._ask("DELETE", "/_taken")

    def taken(self) -> list[tuple[str, float]]:
        """Return the ids of what was taken, each with its time in epoch seconds."""
        return [(email_id, at) for email_id, at in self._ask("GET", "/_taken")]

    def count(self) -> int:
        """Return how many were taken: this costs it little."""
        count: int = self._ask("GET", "/_count")
        return count

    def _ask(self, method: str, path: str, what: Any = None) -> Any:
        data = None if what is None else json.dumps(what).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)


async def serve(port: int) -> None:
    """Serve on a port of the loopback interface until the process ends."""
    desk = Desk()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Caller(desk), HOST, port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
