"""Examples for the OpenAPI document. Tests hold them against the models."""

from __future__ import annotations

from typing import Any

_ID = "6745b8a1f3c2d4e5a6b7c8d9"
_AT = "2030-01-31T09:00:00.000Z"

#: Bodies of `POST /api/emails`, as OpenAPI's `examples`.
NEW_EMAILS: dict[str, Any] = {
    "shortest": {
        "summary": "The least",
        "value": {
            "from": "Acme <hello@acme.example>",
            "to": "ada@example.com",
            "subject": "Hi",
            "text": "Hello",
        },
    },
    "receipt": {
        "summary": "A receipt with a file, labels and a schedule",
        "value": {
            "from": "Acme <billing@acme.example>",
            "to": ["Ada Lovelace <ada@example.com>"],
            "reply_to": "support@acme.example",
            "subject": "Your receipt",
            "html": "<p>Thank you.</p>",
            "text": "Thank you.",
            "attachments": [
                {"filename": "receipt.txt", "content": "VG90YWw6IDQyCg=="},
            ],
            "tags": [{"name": "kind", "value": "receipt"}],
            "metadata": {"order": "1815"},
            "scheduled_at": "in 5 minutes",
            "delivery": "at_least_once",
            "priority": "normal",
        },
    },
    "older": {
        "summary": "As clients of the older service say it (needs a default sender)",
        "value": {"title": "Hi", "content": "Hello", "to": ["ada@example.com"]},
    },
}

#: The answer to a POST.
ACCEPTED: dict[str, Any] = {
    "object": "email",
    "id": _ID,
    "state": "queued",
    "created_at": _AT,
    "data": {"id": _ID},
}

#: A body of `POST /api/emails/batch`.
NEW_BATCH: list[dict[str, Any]] = [
    {
        "from": "Acme <hello@acme.example>",
        "to": [f"{name}@example.com"],
        "subject": "News",
        "text": "Hello",
    }
    for name in ("ada", "grace")
]

#: The answer to it.
BATCH: dict[str, Any] = {"data": [{"id": _ID}, {"id": "6745b8a1f3c2d4e5a6b7c8da"}]}

#: The answer to a GET.
EMAIL: dict[str, Any] = {
    "object": "email",
    "id": _ID,
    "from": "Acme <hello@acme.example>",
    "to": ["ada@example.com"],
    "cc": [],
    "bcc": [],
    "reply_to": [],
    "subject": "Hi",
    "html": None,
    "text": "Hello",
    "created_at": _AT,
    "scheduled_at": None,
    "last_event": "sent",
    "message_id": "14c5d75ce93",
    "tags": [],
    "headers": {},
    "attachments": [],
    "metadata": {},
    "delivery": "at_least_once",
    "provider": None,
    "priority": "normal",
    "state": "sent",
    "reason": None,
    "reason_detail": None,
    "dead_at": None,
    "redriven_at": None,
    "waiting_for": None,
    "bound_to": None,
    "not_before": None,
    "due_at": None,
    "sent_at": "2030-01-31T09:00:00.085Z",
    "erased_at": None,
    "recipients": [
        {"kind": "to", "address": "ada@example.com", "state": "accepted", "code": None},
    ],
    "attempts": [
        {
            "no": 1,
            "provider": "sendgrid",
            "recipients": ["ada@example.com"],
            "started_at": "2030-01-31T09:00:00.020Z",
            "ended_at": "2030-01-31T09:00:00.085Z",
            "outcome": "accepted",
            "kind": None,
            "certain": None,
            "code": None,
            "detail": None,
            "provider_message_id": "14c5d75ce93",
            "refused": [],
            "latency_ms": 61,
            "key": None,
        },
    ],
    "events": [
        {
            "type": "queued",
            "at": _AT,
            "attempt": None,
            "provider": None,
            "code": None,
        },
        {
            "type": "attempted",
            "at": "2030-01-31T09:00:00.020Z",
            "attempt": 1,
            "provider": "sendgrid",
            "code": None,
        },
        {
            "type": "accepted",
            "at": "2030-01-31T09:00:00.085Z",
            "attempt": 1,
            "provider": "sendgrid",
            "code": None,
        },
        {
            "type": "sent",
            "at": "2030-01-31T09:00:00.085Z",
            "attempt": None,
            "provider": None,
            "code": None,
        },
    ],
    "possible_duplicate": False,
    "possible_duplicates": [],
    "confirmed_duplicates": [],
}


#: The answers to those who ask how the service is.
HEALTH: dict[str, Any] = {"name": "postroom", "version": "0.1.0"}
READY: dict[str, Any] = {"ready": True, "degraded": ["worker"]}


def _error(
    status: int,
    title: str,
    name: str,
    message: str,
    *,
    faults: tuple[dict[str, str], ...] = (),
) -> dict[str, Any]:
    return {
        "statusCode": status,
        "name": name,
        "message": message,
        "type": f"urn:postroom:error:{name}",
        "title": title,
        "status": status,
        "detail": message,
        "errors": list(faults),
        "request_id": "7f0c1f9a5b8e4f0f9d7f3f4f2d1c0b0a",
    }


#: One body for each status that is an error.
ERRORS: dict[int, dict[str, Any]] = {
    400: _error(
        400,
        "Bad Request",
        "validation_error",
        "`to[0]` must be local@domain, got no @ (and 1 more, see errors)",
        faults=(
            {
                "field": "to[0]",
                "code": "invalid_address",
                "message": "must be local@domain, got no @",
            },
            {"field": "subject", "code": "missing", "message": "is required"},
        ),
    ),
    401: _error(
        401,
        "Unauthorized",
        "missing_api_key",
        "an API key is needed: send Authorization: Bearer KEY",
    ),
    403: _error(
        403,
        "Forbidden",
        "restricted_api_key",
        "this API key is not for that: it needs the scope `send`",
    ),
    404: _error(404, "Not Found", "not_found", "there is no email of this id"),
    408: _error(408, "Request Timeout", "request_timeout", "the body stopped coming"),
    409: _error(
        409,
        "Conflict",
        "conflict",
        "the email is `sent`: that can be done no more",
    ),
    413: _error(
        413,
        "Request Entity Too Large",
        "body_too_large",
        "the body must be at most 15728640 bytes (POSTROOM_MAX_BODY_MB)",
    ),
    414: _error(
        414,
        "URI Too Long",
        "uri_too_long",
        "the request's address is too long",
    ),
    415: _error(
        415,
        "Unsupported Media Type",
        "unsupported_media_type",
        "the body must be JSON in UTF-8: send Content-Type: application/json",
    ),
    429: _error(
        429,
        "Too Many Requests",
        "rate_limit_exceeded",
        "this API key was used too often: try again in 1 s",
    ),
    500: _error(
        500,
        "Internal Server Error",
        "not_stored",
        "nothing was stored and nothing will be sent; send it again",
    ),
    501: _error(
        501,
        "Not Implemented",
        "transactions_missing",
        "Idempotency-Key and batches need a MongoDB that is a replica set, and this "
        "one stands alone: nothing was stored",
    ),
    503: {
        **_error(
            503,
            "Service Unavailable",
            "storage_unsure",
            "it may have been stored: GET it by its id before sending it again, or it "
            "may be sent twice",
        ),
        "id": _ID,
    },
}

#: A key that came with another request before.
IDEMPOTENCY_CONFLICT = _error(
    409,
    "Conflict",
    "invalid_idempotent_request",
    "this Idempotency-Key came with another request before: repeat that one as it "
    "was, or take a new key",
)
