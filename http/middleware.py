"""What happens to every request and answer, whatever the route."""

from __future__ import annotations

import gzip
import re
import secrets
import time
from typing import Any

import falcon
import structlog

from .errors import ApiError

#: Set in the WSGI environment by a server that is about to close (`draining.py`).
STOPPING = "postroom.stopping"

#: Smaller answers do not get smaller.
_SMALLEST_GZIP = 1024

#: Level 6 takes twice the time for a few per cent.
_GZIP_LEVEL = 4

_GZIP_TYPES = (
    "application/json",
    "application/problem+json",
    "text/",
)

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

#: What helmet sends, but for a policy on content: an API's answers load nothing, and
#: pages bring their own.
_SECURITY_HEADERS = (
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("referrer-policy", "no-referrer"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("x-download-options", "noopen"),
    ("x-frame-options", "DENY"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-xss-protection", "0"),
    # Emails are nobody's to keep on the way; assets say otherwise themselves.
    ("cache-control", "no-store"),
)

log = structlog.get_logger(__name__)


class RequestLog:
    """Name each request, time it, and log one line about it.

    The line has the route's template, never the path, a query, an address or a body.
    """

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take the client's name for the request if it is a sane one, or make one."""
        req.context.started = time.perf_counter()
        given = req.get_header("X-Request-Id") or ""
        sane = _SANE_REQUEST_ID.fullmatch(given)
        req.context.request_id = given if sane else secrets.token_hex(16)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=req.context.request_id)
        resp.set_header("X-Request-Id", req.context.request_id)

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        _resource: object,
        _req_succeeded: bool,  # noqa: FBT001 - falcon's signature
    ) -> None:
        """Say how long it took, to the client and to the log."""
        if not hasattr(req.context, "started"):
            self.process_request(req, resp)  # falcon gave up before it came here
        took_ms = round((time.perf_counter() - req.context.started) * 1000, 2)
        resp.set_header("X-Response-Time", f"{took_ms}ms")
        log.info(
            "http.request",
            request_id=req.context.request_id,
            method=req.method,
            route=req.uri_template or "-",
            status=falcon.http_status_to_code(resp.status),
            error=getattr(resp.context, "error_name", None),
            key_id=_key_id(req),
            duration_ms=took_ms,
        )


def _key_id(req: falcon.Request) -> str | None:
    """Return which key let the request in: its id, which opens nothing."""
    return getattr(getattr(req.context, "access", None), "key_id", None)


class SecurityHeaders:
    """Send what tells a browser to be careful."""

    def process_response(
        self,
        _req: falcon.Request,
        resp: falcon.Response,
        _resource: object,
        _req_succeeded: bool,  # noqa: FBT001 - falcon's signature
    ) -> None:
        """Add each header that the resource did not set itself."""
        there = resp.headers
        resp.set_headers([pair for pair in _SECURITY_HEADERS if pair[0] not in there])


class Cors:
    """Let pages of given origins call the API, by falcon's own middleware.

    It leaves out ``Vary``, without which a cache hands one origin's answer to another.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._falcon = falcon.CORSMiddleware[Any, Any](
            allow_origins="*" if "*" in origins else origins,
            expose_headers=(
                "Location",
                "RateLimit-Limit",
                "RateLimit-Remaining",
                "RateLimit-Reset",
                "Retry-After",
                "X-Request-Id",
            ),
        )

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,  # noqa: FBT001 - falcon's signature
    ) -> None:
        """Add the CORS headers, and loosen the one that would undo them."""
        self._falcon.process_response(req, resp, resource, req_succeeded)
        resp.append_header("Vary", "Origin")
        if resp.get_header("Access-Control-Allow-Origin") is not None:
            resp.set_header("Cross-Origin-Resource-Policy", "cross-origin")


class Stopping:
    """Send new requests elsewhere while the server finishes those in hand."""

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse a request that came after the signal to stop.

        Raises:
            ApiError: 503, the server is about to close its port.
        """
        if req.env.get(STOPPING, False):
            raise ApiError(
                503,
                "stopping",
                "this server is stopping: try again, another one or its successor",
                headers={"Retry-After": "1"},
            )


class Compression:
    """Shrink larger text answers for clients that ask for gzip."""

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        _resource: object,
        _req_succeeded: bool,  # noqa: FBT001 - falcon's signature
    ) -> None:
        """Compress the answer if that is worth it."""
        if not (resp.content_type or "").startswith(_GZIP_TYPES):
            return
        resp.append_header("Vary", "Accept-Encoding")
        if resp.get_header("Content-Encoding") or not _wants_gzip(req):
            return
        body = resp.render_body()
        if body is None or len(body) < _SMALLEST_GZIP:
            return
        resp.text = resp.media = None
        resp.data = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        resp.set_header("Content-Encoding", "gzip")


def _wants_gzip(req: falcon.Request) -> bool:
    accepted = req.get_header("Accept-Encoding") or ""
    for part in accepted.split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return parameters.replace(" ", "").lower() not in ("q=0", "q=0.0")
    return False
