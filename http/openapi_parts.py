"""What operations of the OpenAPI document are made of, whatever they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from .examples import ERRORS
from .options import Options
from .problem import PROBLEM_JSON

#: An operation, an answer or a parameter as OpenAPI writes it.
Part = dict[str, Any]

#: Operations by path and method.
Paths = Mapping[str, Mapping[str, Part]]

SCHEMA_REF = "#/components/schemas/{model}"

#: The parameter of every path that ends at one email, or below it.
EMAIL_ID = "EmailId"

#: Parameters that several operations have, by the name that refers to them.
PARAMETERS: Mapping[str, Part] = {
    EMAIL_ID: {
        "name": "email_id",
        "in": "path",
        "required": True,
        "description": "What the answer to the POST calls `id`.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        "example": "6745b8a1f3c2d4e5a6b7c8d9",
    },
}

#: Errors that any call with a key may get.
_COMMON = (401, 403, 429, 500, 503)

#: Errors that any call with a body may get.
_OF_A_BODY = (400, 408, 413, 415)

#: Errors that any call with parameters may get.
_OF_PARAMETERS = (414,)

#: The name and the meaning of an error where an operation has nothing to add.
_ERRORS: Mapping[int, tuple[str, str]] = {
    400: (
        "BadRequest",
        "The request is malformed or a value is not valid; `errors` has every fault.",
    ),
    401: ("Unauthorized", "There is no API key, or another one."),
    403: ("Forbidden", "The key lacks the scope, or may not send from there."),
    404: ("NotFound", "There is no such thing, or it is another owner's."),
    408: ("RequestTimeout", "The body stopped coming, or came too slowly."),
    409: ("Conflict", "It is not in a state for that."),
    413: ("ContentTooLarge", "The body is larger than `POSTROOM_MAX_BODY_MB`."),
    414: ("URITooLong", "The address has more than 4,094 bytes."),
    415: ("UnsupportedMediaType", "The body is not `application/json`."),
    429: ("TooManyRequests", "Too many at once: again after `Retry-After` seconds."),
    500: (
        "InternalServerError",
        "`not_stored`: nothing was stored and nothing will be sent; send it again.",
    ),
    501: (
        "NotImplemented",
        "`transactions_missing`: this MongoDB has none; nothing was stored.",
    ),
    503: (
        "ServiceUnavailable",
        (
            "`storage_unsure`: nobody could find out whether the email was stored; "
            "repeat the request with its key, or look it up by the `id` first. Others "
            "(`store_unavailable`, `stopping`, `too_busy`): try again after "
            "`Retry-After` s."
        ),
    ),
}

_RETRY_AFTER = {
    "Retry-After": {
        "description": "In seconds.",
        "schema": {"type": "integer", "minimum": 0},
    },
}

#: On every answer to a key that has a rate; described here.
_RATE = {
    name: {"description": told, "schema": {"type": "integer"}}
    for name, told in (
        ("RateLimit-Limit", "Requests that may come at once."),
        ("RateLimit-Remaining", "How many of these are left."),
        ("RateLimit-Reset", "Seconds until all of these are back."),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Operations about one kind of thing, and what they speak of.

    Attributes:
        name: What the page calls the family.
        description: What it is for, in a sentence.
        asked: Models that bodies of requests are validated by.
        answered: Models that answers are made by.
        describe: Gives its operations.
    """

    name: str
    description: str
    asked: tuple[type[BaseModel], ...] = ()
    answered: tuple[type[BaseModel], ...] = ()
    describe: Callable[[Options], Paths]


def operation(
    name: str,
    summary: str,
    *,
    scope: str | None,
    answers: Mapping[int, Part | str],
    parameters: Iterable[Part | str] = (),
    body: Part | None = None,
) -> Part:
    """Return an operation.

    The errors that its kind may always get are added to ``answers``: those of a key
    where it has a scope, those of a body or of parameters where it takes some.

    Args:
        name: The ``operationId``: methods of generated clients are called so.
        summary: What it does, as an order of a few words.
        scope: What its caller's key must allow; ``None`` for one that asks for none.
        answers: By status; `answer`, `error`, or what `errors` gives.
        parameters: In full, or by a name of `PARAMETERS`.
        body: Of the request, by `body_of`.
    """
    parameters = list(parameters)
    also = (
        *(_COMMON if scope else ()),
        *(_OF_A_BODY if body else ()),
        *(_OF_PARAMETERS if parameters else ()),
    )
    given = {**errors(*also), **answers}
    part: Part = {
        "operationId": name,
        "summary": summary,
        "security": [{"key": [scope]}] if scope else [],
        "responses": {str(status): given[status] for status in sorted(given)},
    }
    if parameters:
        part["parameters"] = parameters
    if body:
        part["requestBody"] = body
    return part


def body_of(
    model: type[BaseModel],
    examples: Mapping[str, Any],
    *,
    required: bool = True,
) -> Part:
    """Return the body of a request, with at least one example."""
    media = {"schema": _schema(model), "examples": dict(examples)}
    return {"required": required, "content": {"application/json": media}}


def answer(
    description: str,
    model: type[BaseModel],
    example: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, Part] | None = None,
) -> Part:
    """Return an answer of JSON."""
    media: Part = {"schema": _schema(model)}
    if example is not None:
        media["example"] = dict(example)
    part: Part = {"description": description, "content": {"application/json": media}}
    if headers:
        part["headers"] = dict(headers)
    return part


def errors(*statuses: int) -> dict[int, Part | str]:
    """Return the errors of these statuses, by the names that refer to them."""
    return {status: _ERRORS[status][0] for status in statuses}


def error(
    status: int,
    meaning: str | None = None,
    example: Mapping[str, Any] | None = None,
) -> Part:
    """Return an error; with its usual meaning and example if none is given."""
    media = {
        "schema": {"$ref": SCHEMA_REF.format(model="ErrorAnswer")},
        "example": dict(example or ERRORS[status]),
    }
    part: Part = {
        "description": meaning or _ERRORS[status][1],
        "content": {"application/json": media, PROBLEM_JSON: media},
    }
    if status in (429, 503):
        part["headers"] = dict(_RETRY_AFTER)
    if status == 429:
        part["headers"] |= _RATE
    return part


def usual_errors() -> dict[str, Part]:
    """Return every error of which `errors` gives the name."""
    return {name: error(status) for status, (name, _) in _ERRORS.items()}


def _schema(model: type[BaseModel]) -> Part:
    return {"$ref": SCHEMA_REF.format(model=model.__name__)}
