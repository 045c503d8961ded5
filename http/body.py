"""The body of a request: bounded while it is read, and JSON in the strict sense.

What the parser of the standard library lets through and nothing after it could hold
is refused here: NaN, lone surrogates, a name twice, a nesting without end.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import falcon

from .errors import ApiError, validation_error
from .faults import Fault, FaultCode

#: Bytes asked of the server at a time.
_CHUNK = 65_536

#: JSON writes a surrogate as an escape only; the bytes of one are not UTF-8.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class _TwiceError(ValueError):
    """A name stands twice in one object."""


def read_json(req: falcon.Request, *, limit: int) -> Any:
    """Return the parsed body.

    Args:
        req: A request whose body nobody has read.
        limit: Most bytes of the raw body; not one more than that is read.

    Raises:
        ApiError: 415 for another media type, 413 for a larger body, 408 for one that
            stops coming, 400 for anything that is not JSON.
    """
    _check_type(req)
    body = _read(req, limit)
    if not body.strip():
        raise _malformed("the body is empty, a JSON object was expected")
    return parse_json(body)


def read_optional_json(req: falcon.Request, *, limit: int) -> Any:
    """Return the parsed body, or an empty object where there is none.

    An empty body needs no media type, unless a browser sends it for a page: one of
    another site can make it do so, and with application/json it cannot without CORS.

    Args:
        req: A request whose body nobody has read.
        limit: Most bytes of the raw body; not one more than that is read.

    Raises:
        ApiError: As `read_json` does.
    """
    if req.content_type is not None or req.get_header("Origin") is not None:
        _check_type(req)
    body = _read(req, limit)
    if not body.strip():
        return {}
    _check_type(req)
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """Return what a JSON text in UTF-8 says.

    Raises:
        ApiError: 400, it says nothing that could be kept.
    """
    try:
        parsed = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as ex:
        raise _malformed("the body is nested too deeply") from ex
    except UnicodeDecodeError as ex:
        raise _malformed(f"the body is not UTF-8 at byte {ex.start}") from ex
    except _TwiceError as ex:
        raise _malformed("a name stands twice in one object of the body") from ex
    except json.JSONDecodeError as ex:
        # Its words describe the syntax and never quote the body.
        raise _malformed(
            f"the body is not JSON: {ex.msg} at line {ex.lineno} column {ex.colno}",
        ) from ex
    except ValueError as ex:
        raise _malformed("the body holds a number that JSON does not have") from ex
    if _SURROGATE_ESCAPE.search(body):
        _refuse_lone_surrogates(parsed)
    return parsed


def _check_type(req: falcon.Request) -> None:
    media_type, _, parameters = (req.content_type or "").partition(";")
    charset = parameters.lower().replace(" ", "").partition("charset=")[2]
    if media_type.strip().lower() == falcon.MEDIA_JSON and charset.strip('"') in (
        "",
        "utf-8",
        "utf8",
    ):
        return
    # A missing type is refused too: a foreign page can make a browser send such a
    # request, and with application/json it cannot without CORS.
    raise ApiError(
        415,
        "unsupported_media_type",
        "the body must be JSON in UTF-8: send Content-Type: application/json",
        headers={"Accept": falcon.MEDIA_JSON},
    )


def _read(req: falcon.Request, limit: int) -> bytes:
    length = req.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    # Falcon's bounded stream is empty for a chunked body; a server that ends its
    # input by itself, as gunicorn does, may be read to the end.
    ends_itself = req.env.get("wsgi.input_terminated", False)
    stream = req.stream if ends_itself else req.bounded_stream
    body = bytearray()
    try:
        while chunk := stream.read(min(_CHUNK, limit + 1 - len(body))):
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except TimeoutError as ex:
        message = "the body stopped coming"
        raise ApiError(408, "request_timeout", message) from ex
    if length is not None and len(body) < length:
        raise _malformed("the body is shorter than its Content-Length")
    return bytes(body)


def _too_large(limit: int) -> ApiError:
    message = f"the body must be at most {limit} bytes (POSTROOM_MAX_BODY_MB)"
    return ApiError(413, "body_too_large", message)


def _malformed(message: str) -> ApiError:
    fault = Fault(field="", code=FaultCode.MALFORMED_JSON, message=message)
    return validation_error([fault])


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _TwiceError
    return members


def _refuse_lone_surrogates(parsed: object) -> None:
    try:
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as ex:
        raise _malformed("the body holds half of a surrogate pair") from ex
