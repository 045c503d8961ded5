"""One POST to a provider: what came back, or exactly how far it got.

It is built on urllib3's connections but not on its pool: there a handshake that takes
too long and an answer that does are one exception, while for us the first is `NotSent`
and the second `Unknown` (docs/adr/0011-urllib3-transport.md). No redirects, no retries,
no proxy from the environment.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from urllib3 import HTTPResponse, make_headers
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from ...domain.outcome import NotSent, Unknown
from ..failpoints import Around, nothing_around
from .connection import PlainConnection, Resolver, SecureConnection
from .idle import MAX_IDLE_S, Idle
from .watchdog import WATCHDOG, Guard

#: Bytes of an answer's body that are read; no provider says more about one email.
MAX_ANSWER_BYTES = 64 * 1024

_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a provider's module made of an email.

    Attributes:
        path: Begins with a slash; the account's URL goes in front.
        headers: Of this request alone, such as an idempotency key.
    """

    path: str
    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport:
    """The way to one account at one provider. Any number of threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = socket.getaddrinfo,
        max_idle_s: float = MAX_IDLE_S,
        around: Around = nothing_around,
    ) -> None:
        """Prepare the way; nothing is opened before the first call.

        Args:
            url: Of the provider's API, perhaps with a path.
            headers: Of every request, with what identifies the account.
            proxy: ``http://[user:password@]host:port``, or ``None`` for none.
            tls: Whom to trust; by default those whom this machine trusts.
            resolver: Finds the addresses of a host.
            max_idle_s: How long an idle connection may be used again, in seconds.
            around: Put around the sending of each request, for failpoints.
        """
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        # Nothing here decodes answers: a small one could become a very large one.
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._proxy = parse_url(proxy) if proxy else None
        self._proxy_headers: dict[str, str] = (
            dict(make_headers(proxy_basic_auth=unquote(self._proxy.auth)))
            if self._proxy and self._proxy.auth
            else {}
        )
        if self._proxy and not self._secure:
            self._prefix = url.rstrip("/")
            self._headers |= self._proxy_headers
        self._tls = (tls or ssl.create_default_context()) if self._secure else None
        self._resolver = resolver
        self._send = around("http.request", self._write)
        self._idle = Idle[PlainConnection | SecureConnection](max_idle_s)

    def post(
        self, request: Request, *, timeout: timedelta
    ) -> Answer | NotSent | Unknown:
        """Make the call.

        Args:
            request: What to send.
            timeout: A bound on all of it: look-up, connection, request and answer.

        Returns:
            A complete answer; or ``NotSent`` if the request cannot have begun to
            leave; or ``Unknown`` for everything else.
        """
        guard = WATCHDOG.arm(timeout.total_seconds())
        connection = self._idle.take() or self._new_connection()
        outcome: Answer | NotSent | Unknown | None = None
        try:
            outcome = connection.open(guard) or self._exchange(
                connection, request, guard
            )
        finally:
            late = guard.disarm()
            # An interrupt of the worker leaves no outcome and an unknown connection.
            if late or not isinstance(outcome, Answer) or connection.is_closed:
                connection.drop()
            else:
                self._idle.put(connection)
        if not late:
            return outcome
        # Whatever came back: http.client can take our own shutting down for the end
        # of an answer.
        if guard.writing:
            return Unknown(cause="timeout", detail="no complete answer in time")
        return NotSent(cause="connect_timeout", detail=f"late in {connection.stage}")

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        self._idle.close()

    def _new_connection(self) -> PlainConnection | SecureConnection:
        host, port = self._host, self._port
        if self._proxy:
            host, port = self._proxy.host or "", self._proxy.port or 80
        if self._tls is None:
            return PlainConnection(host, port, resolver=self._resolver)
        connection = SecureConnection(
            host, port, resolver=self._resolver, ssl_context=self._tls
        )
        if self._proxy:
            connection.set_tunnel(self._host, self._port, headers=self._proxy_headers)
        return connection

    def _exchange(
        self,
        connection: PlainConnection | SecureConnection,
        request: Request,
        guard: Guard,
    ) -> Answer | NotSent | Unknown:
        if not guard.may_write():
            return NotSent(cause="connect_timeout", detail="late before the request")
        try:
            whole = self._send(connection, request)
            response = connection.getresponse()
            try:
                answer = _read(response)
            finally:
                response.close()
        except (OSError, http.client.HTTPException, HTTPError) as ex:
            return _unknown(ex)
        if not whole or not _is_framed(response):
            connection.close()
        if not whole and 200 <= response.status < 300:
            return Unknown(cause="garbage", detail="accepted an unfinished request")
        return answer

    def _write(
        self, connection: PlainConnection | SecureConnection, request: Request
    ) -> bool:
        """Send the request. Returns whether all of it was taken."""
        headers = {"Content-Type": request.content_type, **request.headers}
        try:
            connection.request(
                "POST",
                self._prefix + request.path,
                body=request.body,
                headers={**self._headers, **headers},
                preload_content=False,
                decode_content=False,
            )
        except (BrokenPipeError, ConnectionResetError):
            # Whoever refuses a large body closes before reading it; the reason may
            # still be there to read.
            return False
        return True


def _read(response: HTTPResponse) -> Answer | Unknown:
    body = b""
    while len(body) <= MAX_ANSWER_BYTES:
        chunk = response.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False)
        if not chunk:
            break
        body += chunk
    if len(body) > MAX_ANSWER_BYTES:
        return Unknown(cause="garbage", detail="the answer is too large")
    if response.status < 200:
        # http.client takes 103 for the answer, which would leave the true one in the
        # connection for the next request.
        return Unknown(cause="garbage", detail=f"status {response.status}")
    if response.status < 300 and not _is_framed(response):
        return Unknown(cause="truncated", detail="the answer has no stated length")
    return Answer(status=response.status, headers=response.headers, body=body)


def _is_framed(response: HTTPResponse) -> bool:
    """Return whether the answer itself says where it ends."""
    coding = response.headers.get("Transfer-Encoding", "").strip().lower()
    length = response.headers.get("Content-Length", "").strip()
    return coding == "chunked" or bool(_LENGTH.fullmatch(length))


def _unknown(ex: Exception) -> Unknown:
    # urllib3 wraps what went wrong while the body was read.
    cause = ex.__cause__ if isinstance(ex, HTTPError) and ex.__cause__ else ex
    detail = type(cause).__name__
    match cause:
        case TimeoutError():
            return Unknown(cause="timeout", detail=detail)
        case OSError():
            return Unknown(cause="reset", detail=detail)
        case http.client.IncompleteRead():
            return Unknown(cause="truncated", detail=detail)
        case _:
            return Unknown(cause="garbage", detail=detail)
