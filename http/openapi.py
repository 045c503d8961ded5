"""The OpenAPI document, made by apispec of the models that validate and answer."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .answers import (
    AcceptedAnswer,
    EmailAnswer,
    ErrorAnswer,
    HealthAnswer,
    ReadyAnswer,
)
from .errors import PROBLEM_JSON
from .examples import ACCEPTED, EMAIL, ERRORS, NEW_EMAILS
from .options import Limits, Options
from .schemas import EmailIn

_REF = "#/components/schemas/{model}"

_DESCRIPTION = """\
Takes transactional email, keeps it, and gets it to one of several providers, whatever
fails on the way. An email answered with 201 is stored; it ends `sent`, `failed`,
`cancelled` or `suppressed`, or it is held as `unknown` where nobody can know whether
it went out.

Field names are those of Resend's API, so its SDKs work with this address as their base
URL. Every error has the same body, and `errors` lists everything that is wrong with a
request at once. A field that is null counts as absent.
"""

#: Errors that any call to the API may get.
_COMMON = (401, 403, 429, 500, 503)

#: What locks an operation.
_KEY: dict[str, list[str]] = {"key": []}

_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `postroom keys create`, or the one of the settings. What "
    "`pr_test_...` sends goes through everything and never out.",
}

#: On every answer to a key that has a rate, and here in any case.
_RATE_HEADERS = {
    name: {"description": told, "schema": {"type": "integer"}}
    for name, told in (
        ("RateLimit-Limit", "Requests that may come at once."),
        ("RateLimit-Remaining", "How many of these are left."),
        ("RateLimit-Reset", "Seconds until all of these are back."),
        ("Retry-After", "Seconds until the next one may come."),
    )
}

_MEANINGS = {
    400: "The request is malformed or a value is not valid; `errors` has every fault.",
    401: "There is no API key, or another one.",
    403: "The key is not for that: it lacks the scope, or may not send from there.",
    404: "There is no such email, or it is another owner's.",
    413: "The body is larger than `POSTROOM_MAX_BODY_MB`.",
    415: "The body is not `application/json`.",
    429: "The key was used too often.",
    500: "`not_stored`: the email is not stored and will not be sent; send it again.",
    503: (
        "`storage_unsure`: nobody could find out whether the email was stored; look it "
        "up by the `id` first. `store_unavailable` or `stopping`: try again later."
    ),
}


def document(options: Options) -> bytes:
    """Return the document as JSON.

    Args:
        options: Its limits stand in the schemas; in development a key need not be
            sent while there is none.
    """
    spec = APISpec(
        title="Postroom",
        version=version("postroom"),
        openapi_version="3.1.0",
        info={"description": _DESCRIPTION, "license": {"name": "MIT"}},
        servers=[{"url": "/"}],
        tags=[
            {"name": "Emails", "description": "Send one, look one up."},
            {"name": "Service", "description": "For load balancers and monitors."},
        ],
    )
    spec.components.security_scheme("key", _SCHEME)
    may_be_open = options.development and options.api_key is None
    spec.options["security"] = [_KEY, {}] if may_be_open else [_KEY]
    for name, schema in _schemas(options.limits).items():
        spec.components.schema(name, schema)
    _add_paths(spec)
    spec.path("/metrics", operations={"get": _get_metrics(options)})
    return json.dumps(spec.to_dict(), indent=1).encode()


def _schemas(limits: Limits) -> dict[str, dict[str, Any]]:
    """Return the schemas of all models, with the limits of this service."""
    models: list[type[BaseModel]] = [
        AcceptedAnswer,
        EmailAnswer,
        ErrorAnswer,
        HealthAnswer,
        ReadyAnswer,
    ]
    _, asked = models_json_schema([(EmailIn, "validation")], ref_template=_REF)
    _, answered = models_json_schema(
        [(model, "serialization") for model in models],
        ref_template=_REF,
    )
    schemas = {**asked["$defs"], **answered["$defs"]}
    del schemas["Address"]  # pydantic's own idea of what we read from a string
    _state_limits(schemas["EmailIn"]["properties"], limits)
    for name in ("EmailIn", "AttachmentIn"):
        _allow_null(schemas[name])
    return schemas


def _state_limits(properties: dict[str, Any], limits: Limits) -> None:
    for name in ("to", "cc", "bcc", "reply_to"):
        properties[name]["oneOf"][1]["maxItems"] = limits.recipients
    for name in ("subject", "title"):
        properties[name]["anyOf"][0]["maxLength"] = limits.subject_chars
    properties["tags"]["maxItems"] = limits.tags
    properties["attachments"]["maxItems"] = limits.attachments
    properties["headers"]["maxProperties"] = limits.headers
    properties["metadata"]["maxProperties"] = limits.metadata_keys


def _allow_null(schema: dict[str, Any]) -> None:
    """Say of each field that null counts as absent."""
    null = {"type": "null"}
    for name, this in schema["properties"].items():
        if name not in schema["required"] and null not in this.get("anyOf", ()):
            schema["properties"][name] = {"anyOf": [this, null]}


def _add_paths(spec: APISpec) -> None:
    for path, suffix in (("/api/emails", ""), ("/api/email", "Older")):
        spec.path(path, operations={"post": _post_email(suffix)})
        spec.path(f"{path}/{{email_id}}", operations={"get": _get_email(suffix)})
    health = _operation("health", "Say who is there", "Service", open_=True)
    health["responses"]["200"] = _answer("It is there.", HealthAnswer)
    spec.path(
        "/health",
        operations={"get": health, "head": {**health, "operationId": "headHealth"}},
    )
    ready = _operation("ready", "Say whether mail is accepted", "Service", open_=True)
    ready["responses"] |= {
        "200": _answer("Mail is accepted; `degraded` only delays it.", ReadyAnswer),
        "503": _answer("Mail cannot be stored now.", ReadyAnswer),
    }
    spec.path(
        "/ready",
        operations={"get": ready, "head": {**ready, "operationId": "headReady"}},
    )
    for path, suffix in (("/openapi.json", ""), ("/api/openapi.json", "Older")):
        this = _operation(f"openapi{suffix}", "This document", "Service", open_=True)
        this["responses"]["200"] = {
            "description": "OpenAPI 3.1.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
        spec.path(path, operations={"get": this})


def _post_email(suffix: str) -> dict[str, Any]:
    operation = _operation(f"sendEmail{suffix}", "Send an email", "Emails")
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": _REF.format(model="EmailIn")},
                "examples": NEW_EMAILS,
            },
        },
    }
    accepted = _answer("It is stored and will be sent.", AcceptedAnswer, ACCEPTED)
    accepted["headers"] = {
        "Location": {
            "description": "Where the email is shown.",
            "schema": {"type": "string"},
        },
    }
    operation["responses"] |= {
        "201": accepted,
        **{str(status): _error(status) for status in (400, 413, 415)},
    }
    return operation


def _get_email(suffix: str) -> dict[str, Any]:
    operation = _operation(f"getEmail{suffix}", "Show an email", "Emails")
    operation["parameters"] = [
        {
            "name": "email_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        },
    ]
    operation["responses"] |= {
        "200": _answer("The email and its way.", EmailAnswer, EMAIL),
        "404": _error(404),
    }
    return operation


def _get_metrics(options: Options) -> dict[str, Any]:
    operation = _operation("metrics", "Show all metrics", "Service", open_=True)
    del operation["security"]
    if options.metrics_key is not None:
        operation["security"] = [_KEY]
    operation["responses"] = {
        "200": {
            "description": "What Prometheus reads, in the form that it asks for.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **{str(status): _error(status) for status in _COMMON},
    }
    return operation


def _operation(
    name: str,
    summary: str,
    tag: str,
    *,
    open_: bool = False,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "responses": {},
    }
    if open_:
        operation["security"] = []
    else:
        operation["responses"] = {str(status): _error(status) for status in _COMMON}
    if name.endswith("Older"):
        operation["summary"] += " (also here)"
    return operation


def _answer(
    description: str,
    model: type[BaseModel],
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": {"$ref": _REF.format(model=model.__name__)}}
    if example is not None:
        media["example"] = example
    return {"description": description, "content": {"application/json": media}}


def _error(status: int) -> dict[str, Any]:
    media = {
        "schema": {"$ref": _REF.format(model="ErrorAnswer")},
        "example": ERRORS[status],
    }
    error: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {"application/json": media, PROBLEM_JSON: media},
    }
    if status == 429:
        error["headers"] = _RATE_HEADERS
    return error
