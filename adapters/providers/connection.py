"""One kept connection to a provider, opened under a guard.

urllib3's connection does the work. What is added: the guard bounds the look-up of the
name and the handshake too, a failure says in which stage it came, and an answer that
ends within its head is no answer.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection, is_connection_dropped

from ...domain.outcome import NotSent
from .watchdog import Guard

#: Finds the addresses of a host: ``socket.getaddrinfo``, or a test's.
Resolver = Callable[..., list[tuple[Any, ...]]]


class Connection(HTTPConnection):
    """A connection that knows how far it got.

    The lever is a second handle of the same socket. The watchdog pulls it from another
    thread, and can do so in the middle of a TLS handshake, when nobody else holds the
    first. It outlives ``close``, which http.client calls before the last answer of a
    connection is read.
    """

    resolver: Resolver
    guard: Guard | None = None
    lever: socket.socket | None = None
    stage = "connect"

    def open(self, guard: Guard) -> NotSent | None:
        """Connect, unless it is connected. Returns why that failed."""
        self.guard = guard
        self.timeout = guard.remaining()
        if not self.is_closed and self.lever is not None:
            guard.attach(self.lever)
            return None
        try:
            self.connect()
        except (OSError, ValueError, http.client.HTTPException, HTTPError) as ex:
            return not_sent(ex, self.stage)
        return None

    @property
    def is_dropped(self) -> bool:
        """Whether the other side has closed it, as far as can be seen from here."""
        return is_connection_dropped(self)

    def drop(self) -> None:
        """Close it for good."""
        self.close()
        lever, self.lever = self.lever, None
        if lever is not None:
            lever.close()

    def _new_conn(self) -> socket.socket:
        guard = self.guard
        if guard is None:
            raise http.client.CannotSendRequest("opened without a guard")
        self.stage = "dns"
        addresses = resolve(self.resolver, self.host, self.port, guard)
        self.stage = "connect"
        sock = first_of(addresses, self.port, guard, socket_options=self.socket_options)
        self.lever = sock.dup()
        guard.attach(self.lever)
        self.stage = "proxy" if self.proxy_is_tunneling else "tls"
        return sock


class PlainConnection(Connection):
    """For ``http``: fakes, and gateways on the same machine."""

    def __init__(self, host: str, port: int, *, resolver: Resolver) -> None:
        super().__init__(host, port)
        self.resolver = resolver
        self.response_class = _StrictResponse


class SecureConnection(Connection, HTTPSConnection):
    """For ``https``: certificate and name are always checked."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        resolver: Resolver,
        ssl_context: ssl.SSLContext,
    ) -> None:
        HTTPSConnection.__init__(self, host, port, ssl_context=ssl_context)
        self.resolver = resolver
        self.response_class = _StrictResponse


class _StrictLines(io.BufferedReader):
    """Lines of an answer's head. The end of the file is not the end of the head.

    http.client takes it for that: a 202 cut in the middle of ``X-Message-Id`` is a
    complete one to it.
    """

    begun = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size and (line or self.begun):
            raise http.client.IncompleteRead(line)
        self.begun = True
        return line


class _StrictResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = _StrictLines(sock.makefile("rb", buffering=0))


def first_of(
    addresses: Sequence[str],
    port: int,
    guard: Guard,
    *,
    socket_options: Any = HTTPConnection.default_socket_options,
) -> socket.socket:
    """Connect to the first address that answers.

    Each has its share of the time, so that one family of addresses that leads
    nowhere does not use up the other's.

    Raises:
        OSError: None does; it is what the last one said.
    """
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return create_connection(
                (address, port),
                guard.remaining() / left,
                socket_options=socket_options,
            )
        except OSError as ex:
            failure = ex
    raise failure


def resolve(resolver: Resolver, host: str, port: int, guard: Guard) -> list[str]:
    """Look a name up, without waiting longer than the guard.

    Nothing can interrupt a look-up, so it has a thread of its own, which is left behind
    if it takes too long. There are few: only new connections need one.

    Raises:
        OSError: There is no such name, or it was not found in time.
        UnicodeError: It cannot be a name.
    """
    found: list[list[tuple[Any, ...]] | Exception] = []

    def look_up() -> None:
        try:
            found.append(resolver(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as ex:
            found.append(ex)

    thread = threading.Thread(target=look_up, name="provider-dns", daemon=True)
    thread.start()
    thread.join(guard.remaining())
    if not found:
        raise TimeoutError("the name was not found in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return list(dict.fromkeys(str(entry[4][0]) for entry in found[0]))


def not_sent(ex: Exception, stage: str) -> NotSent:
    """Return why no connection came about; ``stage``: how far it got."""
    detail = f"{type(ex).__name__} in {stage}"
    match ex:
        case TimeoutError():
            return NotSent(cause="connect_timeout", detail=detail)
        case ssl.SSLError():
            reason = getattr(ex, "verify_message", "") or ex.reason
            return NotSent(cause="tls", detail=f"{detail}: {reason}")
        case socket.gaierror() | UnicodeError():
            return NotSent(cause="dns", detail=detail)
        case ConnectionRefusedError() if stage == "connect":
            return NotSent(cause="connection_refused", detail=detail)
        case _ if stage in {"tls", "proxy"}:
            return NotSent(cause=stage, detail=detail)
        case _:
            return NotSent(cause="unreachable", detail=detail)
