"""The body of a request: bounded while it is read, and JSON in the strict sense.

What the parser of the standard library lets through and nothing after it could hold
is refused here: NaN, lone surrogates, a name twice, a nesting without end.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, NoReturn

import falcon
from gunicorn.http.errors import ParseException

from .errors import ApiError, validation_error
from .faults import Fault, FaultCode
from .heard import LARGE_BODY
from .large_bodies import admit_large

#: Bytes asked of the server at a time.
_CHUNK = 65_536

#: Most strings, objects and arrays in one body. Each becomes an object of 50 bytes and
#: more, of which 15 MB hold millions; a hundred full emails have a third of this.
MOST_PARTS = 100_000

_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]', re.DOTALL)

#: JSON writes a surrogate as an escape only; the bytes of one are not UTF-8.
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


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
    # No name holds the bytes here: they go as soon as they are text.
    return parse_json(_read(req, limit))


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
    if req.content_type or req.get_header("Origin") is not None:
        _check_type(req)
    body = _read(req, limit)
    if not body or body.isspace():
        return {}
    _check_type(req)
    return parse_json(body)


def parse_json(body: bytes | bytearray) -> Any:
    """Return what a JSON text in UTF-8 says.

    Raises:
        ApiError: 400, it says nothing that could be kept.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as ex:
        raise _malformed(f"the body is not UTF-8 at byte {ex.start}") from ex
    del body
    if not text or text.isspace():
        raise _malformed("the body is empty, a JSON object was expected")
    if len(text) > LARGE_BODY:
        _refuse_many_parts(text)
    parsed = _parse(text)
    if _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(parsed)
    return parsed


def _refuse_many_parts(text: str) -> None:
    if next(islice(_PART.finditer(text), MOST_PARTS, None), None) is not None:
        message = f"must be at most {MOST_PARTS} strings, objects and arrays"
        fault = Fault(field="", code=FaultCode.TOO_MANY, message=message)
        raise validation_error([fault])


def _parse(text: str) -> Any:
    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as ex:
        raise _malformed("the body is nested too deeply") from ex
    except _TwiceError as ex:
        raise _malformed("a name stands twice in one object of the body") from ex
    except json.JSONDecodeError as ex:
        # Its words describe the syntax and never quote the body.
        raise _malformed(
            f"the body is not JSON: {ex.msg} at line {ex.lineno} column {ex.colno}",
        ) from ex
    except ValueError as ex:
        raise _malformed("the body holds a number that JSON does not have") from ex


def _check_type(req: falcon.Request) -> None:
    coding = (req.get_header("Content-Encoding") or "").strip().lower()
    if coding not in ("", "identity"):
        raise ApiError(
            415,
            "unsupported_media_type",
            "the body must not be compressed: send it without Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )
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


def _read(req: falcon.Request, limit: int) -> bytearray:
    length = req.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    admit_large(req, length or 0)
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
            admit_large(req, len(body))
    except TimeoutError as ex:
        message = "the body stopped coming, or came too slowly"
        raise ApiError(408, "request_timeout", message) from ex
    except (OSError, ParseException) as ex:
        # The client is gone, or its chunks are not what RFC 9112 section 7.1 says.
        raise _malformed("the body broke off, or its chunks are broken") from ex
    if length is not None and len(body) < length:
        raise _malformed("the body is shorter than its Content-Length")
    return body


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
