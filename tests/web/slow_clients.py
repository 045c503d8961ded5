"""Clients that hardly speak, of every kind there is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from postroom.http.heard import LARGE_BODY

#: How often a slow client says one more byte, in seconds.
TICK_S = 1.0

_HEAD = (
    b"POST /api/emails HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nX-Slow: "
)

#: What each kind says at once, and what it says again and again after that.
KINDS = {
    "silent": (b"", b""),
    "slow headers": (_HEAD, b"x"),
    "slow body": (_HEAD + b"1\r\nContent-Length: 20000\r\n\r\n{", b" "),
    "slow chunks": (
        _HEAD + b"1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"1\r\n \r\n",
    ),
    "slow after much": (
        _HEAD + b"1\r\nContent-Length: 9000000\r\n\r\n" + b" " * LARGE_BODY,
        b" ",
    ),
    "slow after an expectation": (
        _HEAD + b"1\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n",
        b" ",
    ),
    "slow after a refusal": (
        _HEAD.replace(b"json", b"xml")
        + b"1\r\nContent-Length: 9000000\r\n\r\n"
        + b" " * LARGE_BODY,
        b" ",
    ),
}


@dataclass
class SlowClients:
    """So many connections of one kind; `answers` is what they were told."""

    kind: str
    count: int
    answers: list[bytes] = field(default_factory=list)
    closed: int = 0

    @contextlib.contextmanager
    def against(self, port: int) -> Iterator[SlowClients]:
        """Open the connections, keep them slow for a while, close them."""
        at_once, _ = KINDS[self.kind]
        sockets = []
        for _ in range(self.count):
            sock = socket.create_connection(("127.0.0.1", port), 10)
            sock.sendall(at_once)
            sock.setblocking(False)
            sockets.append(sock)
        over = threading.Event()
        thread = threading.Thread(target=self._dribble, args=(sockets, over))
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            for sock in sockets:
                sock.close()

    def _dribble(self, sockets: list[socket.socket], over: threading.Event) -> None:
        _, more = KINDS[self.kind]
        speaking = list(sockets)
        while not over.wait(TICK_S):
            for sock in list(speaking):
                if not self._speak(sock, more):
                    speaking.remove(sock)

    def _speak(self, sock: socket.socket, more: bytes) -> bool:
        """Say a little; false once the server has ended the connection."""
        try:
            if answer := sock.recv(65536):
                self.answers.append(answer.partition(b"\r\n")[0])
                return True
            self.closed += 1
        except BlockingIOError:
            with contextlib.suppress(BlockingIOError):
                sock.send(more)
            return True
        except OSError:
            self.closed += 1
        return False
