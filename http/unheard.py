"""Answers to what never reaches the application: requests that nobody can read.

They have the body of every other error. What a client sent is not repeated, and not
logged: gunicorn's own words quote request lines and headers.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from http import HTTPStatus

import falcon
import structlog
from gunicorn.http.errors import (  # type: ignore[attr-defined]  # its types are old
    ConfigurationProblem,
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from .problem import problem

log = structlog.get_logger(__name__)

#: They are no client's fault, though they are among what it can do wrong.
_OURS = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)


def unheard(status: int, name: str, message: str) -> bytes:
    """Return a whole answer, after which the connection is closed."""
    body = problem(status, name, message)
    head = "\r\n".join(_head(status, len(body)))
    return head.encode("ascii") + body


def answer_to(error: BaseException) -> bytes:
    """Return the answer to what the server could not read, or not answer; log it."""
    if isinstance(error, ParseException) and not isinstance(error, _OURS):
        # The thread may have answered another request before.
        structlog.contextvars.clear_contextvars()
        log.warning("http.unreadable", error=type(error).__name__)
        return unheard(*_told(error))
    trace = "".join(traceback.format_tb(error.__traceback__))
    log.error("http.crash", error=type(error).__name__, trace=trace)
    message = "something went wrong here; the log has it"
    return unheard(500, "application_error", message)


def _told(error: ParseException) -> tuple[int, str, str]:
    match error:
        case LimitRequestLine():
            return 414, "uri_too_long", "the request's address is too long"
        case LimitRequestHeaders():
            return 431, "headers_too_large", "the request has too many headers"
        case ExpectationFailed():
            return 417, "expectation_failed", "`Expect` may only be 100-continue"
        case UnsupportedTransferCoding():
            message = "`Transfer-Encoding` may only be chunked"
            return 501, "not_implemented", message
        case _:
            return 400, "malformed_request", "the request is not HTTP/1.1 (RFC 9112)"


def _head(status: int, length: int) -> Iterator[str]:
    yield f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    yield "Connection: close"
    yield f"Content-Type: {falcon.MEDIA_JSON}"
    yield "X-Content-Type-Options: nosniff"
    yield f"Content-Length: {length}"
    yield "\r\n"
