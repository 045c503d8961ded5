"""`GET /metrics` of a process that has no HTTP of its own."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import TCPServer
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

import structlog
from prometheus_client.exposition import ThreadingWSGIServer

from .secret import Secret

log = structlog.get_logger(__name__)

#: How many ports are tried, one after the other: on one machine several processes share
#: the setting, and a new one starts while the old one still has its port.
PORTS = 16

Page = Callable[[str], tuple[bytes, str]]


def listen(port: int, page: Page, *, key: Secret | None = None) -> Listener | None:
    """Answer from a thread, on the first port that is free. Never raises.

    Nobody can be kept from sending email because a port is taken.

    Args:
        port: The first one to try.
        page: Returns text and content type for an ``Accept`` header.
        key: What a caller must send as bearer, if anything.

    Returns:
        The server, or ``None`` if no port is free.
    """
    for each in range(port, min(port + PORTS, 65_536)):
        server = _bound(each)
        if server is not None:
            server.set_app(_application(page, key))
            Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            log.info("metrics.listening", port=each)
            return server
    log.warning("metrics.no_port", first=port, tried=PORTS)
    return None


class Listener(ThreadingWSGIServer):
    """Answers each caller from a thread of its own."""

    def server_bind(self) -> None:
        """Bind, without looking our own name up as the base class does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, *_: object) -> None:
        """Let a caller go that went away."""


class _Handler(WSGIRequestHandler):
    #: In seconds: a caller that says nothing must not keep a thread.
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _bound(port: int) -> Listener | None:
    with suppress(OSError):
        return Listener(("", port), _Handler)
    return None


def _application(page: Page, key: Secret | None) -> Callable[..., Iterable[bytes]]:
    def application(
        environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"] != "/metrics":
            return _refuse(start, "404 Not Found")
        if key is not None and not _holds(environ, key):
            return _refuse(start, "401 Unauthorized", ("WWW-Authenticate", "Bearer"))
        text, content_type = page(environ.get("HTTP_ACCEPT", ""))
        start("200 OK", [("Content-Type", content_type)])
        return [text]

    return application


def _holds(environ: dict[str, Any], key: Secret) -> bool:
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode(), key.reveal().encode()
    )


def _refuse(
    start: Callable[..., Any], status: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain"), *headers])
    return [b""]
