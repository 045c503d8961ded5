"""A gunicorn worker whose threads do not wait for clients (ADR 0046).

gunicorn's own threaded worker gives a thread to every connection that has said
something, or is new: as many slow clients as there are threads, and nobody else is
answered. This one collects each request in its loop first (`heard.py`), lets no body
arrive more slowly than is sane, and does not wait for the end of what it has refused.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from .heard import Heard
from .unheard import answer_to, unheard

#: How long a request may take to arrive, but for a large body, in seconds. It is also
#: how long a new connection may say nothing.
ARRIVAL_S = 10.0

#: How long a client may stop sending, or taking, in the middle of a request that has a
#: thread, in seconds. Without it one that vanished would hold a thread for ever.
STALL_S = 20.0

#: In bytes per second: beyond `STALL_S`, a large body must arrive at this rate.
SLOWEST_BODY = 128 * 1024

#: How long, in seconds, and for how many bytes a refused client is listened to still,
#: so that it gets to read why it was refused.
FAREWELL_S = 2.0
FAREWELL_BYTES = 256 * 1024

#: Bytes asked of a socket at a time.
_CHUNK = 65_536

_TOO_SLOW = unheard(408, "request_timeout", "the request came too slowly")
_TOO_LONG = unheard(431, "headers_too_large", "the request's headers are too long")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class _Farewell:
    """A connection that is about to be closed."""

    until: float
    came: int = 0


class ImpatientUnreader(SocketUnreader):
    """Reads the rest of a large body, within a time that grows with what came."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._began: float | None = None
        self._came = 0
        self._is_over = False

    def restart(self, heard: bytes) -> None:
        """Begin with a new request, of which this has come already."""
        self.unread(heard)
        self._began = None
        self._came = 0
        self._is_over = False

    def end(self) -> None:
        """Read no more: what has not come by now is not waited for."""
        self._is_over = True

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes.

        Raises:
            TimeoutError: They do not come, or all of it comes too slowly.
        """
        now = time.monotonic()
        self._began = self._began or now
        left = self._began + STALL_S + self._came / SLOWEST_BODY - now
        if self._is_over or left <= 0:
            raise TimeoutError("too slow")
        before = self.sock.gettimeout()
        self.sock.settimeout(min(left, STALL_S if before is None else before))
        try:
            # Its types are older than the argument.
            data: bytes = super().chunk(size_hint)  # type: ignore[call-arg]
        finally:
            self.sock.settimeout(before)
        self._came += len(data)
        return data


class HearingWorker(ThreadWorker):
    """A threaded worker that collects requests before they get a thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Both in the order of their deadlines: each has the same time.
        self._heard: dict[TConn, Heard] = {}
        self._leaving: dict[TConn, _Farewell] = {}

    def enqueue_req(self, conn: TConn) -> None:
        """Collect the next request of a connection, new or kept alive."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)  # what comes is not readable here
            return
        unreader = _unreader(conn)
        heard = self._heard[conn] = Heard(until=time.monotonic() + ARRIVAL_S)
        conn.sock.settimeout(0)
        # A pipelined request may be here already, behind the one before.
        heard.add(unreader.take_buffered())
        self._hear(conn, conn.sock)
        if conn in self._heard:
            heard.is_awaited = True
            heard_more = partial(self._hear, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, heard_more)

    def _hear(self, conn: TConn, sock: socket.socket) -> None:
        heard = self._heard[conn]
        data = _received(sock)
        if data is None:
            self._note(conn, heard, b"")
        elif data:
            self._note(conn, heard, data)
        elif heard.bytes:
            self._hand_over(conn, heard)  # the parser says what is missing
        else:
            self._forget(conn)
            self._close(conn)

    def _note(self, conn: TConn, heard: Heard, data: bytes) -> None:
        heard.add(data)
        if heard.is_enough:
            self._hand_over(conn, heard)
        elif heard.is_flood:
            self._refuse(conn, _TOO_LONG)
        elif heard.ask_for_leave():
            with contextlib.suppress(OSError):
                conn.sock.send(_CONTINUE)

    def _hand_over(self, conn: TConn, heard: Heard) -> None:
        """Give the request a thread."""
        self._forget(conn)
        _unreader(conn).restart(bytes(heard.bytes))
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer, in a thread, and give the thread back with the answer."""
        try:
            answered: bool = super().handle_request(req, conn)
            return answered
        finally:
            # gunicorn would wait for the rest of a refused body, to read the next
            # request behind it.
            if isinstance(conn.parser, RequestParser):
                _unreader(conn).end()

    def handle_error(
        self, _req: object, client: socket.socket, _addr: object, exc: BaseException
    ) -> None:
        """Answer what cannot be read, as any other error."""
        with contextlib.suppress(OSError):
            client.sendall(answer_to(exc))

    def _forget(self, conn: TConn) -> None:
        if self._heard.pop(conn).is_awaited:
            self.poller.unregister(conn.sock)

    def _refuse(self, conn: TConn, answer: bytes) -> None:
        self._forget(conn)
        with contextlib.suppress(OSError):
            conn.sock.send(answer)
        self._leave(conn)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Keep the connection for its next request, or take leave of it."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            # gunicorn would wait here, in the loop, for this one client's farewell.
            self._leave(conn)

    def _leave(self, conn: TConn) -> None:
        """Say that we are done, and listen a little, or our answer might be lost."""
        try:
            conn.sock.settimeout(0)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._leaving[conn] = _Farewell(until=time.monotonic() + FAREWELL_S)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._part, conn))

    def _part(self, conn: TConn, sock: socket.socket) -> None:
        data = _received(sock)
        if data is None:
            return
        self._leaving[conn].came += len(data)
        if not data or self._leaving[conn].came > FAREWELL_BYTES:
            self._part_now(conn)

    def _part_now(self, conn: TConn) -> None:
        del self._leaving[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """End what has taken too long; gunicorn calls this again and again."""
        super().murder_pending()
        now = time.monotonic()
        for conn in _over(self._leaving, now):
            self._part_now(conn)
        for conn in _over(self._heard, now):
            if self._heard[conn].bytes:
                self._refuse(conn, _TOO_SLOW)
            else:
                self._forget(conn)
                self._close(conn)

    def hurry(self, latest: float) -> None:
        """Wait for no request longer than until then, on the monotonic clock."""
        for heard in self._heard.values():
            heard.until = min(heard.until, latest)


def _unreader(conn: TConn) -> ImpatientUnreader:
    """Return what a connection is read by; the first time it is made."""
    if conn.parser is None:
        conn.parser = RequestParser(conn.cfg, conn.sock, conn.client)
        conn.parser.unreader = ImpatientUnreader(conn.sock)
        conn.initialized = True  # or a thread would wait for what is here already
    unreader = getattr(conn.parser, "unreader", None)
    if not isinstance(unreader, ImpatientUnreader):
        raise TypeError("HTTP/1.1 is all that is spoken here")
    return unreader


def _received(sock: socket.socket) -> bytes | None:
    """Return what has come, nothing at the end, or ``None`` if nothing has come yet."""
    try:
        return sock.recv(_CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _over(waiting: Mapping[TConn, Heard | _Farewell], now: float) -> list[TConn]:
    """Return those whose time is over; they stand in the order of their ends."""
    return list(takewhile(lambda conn: waiting[conn].until <= now, waiting))
