"""The one body of all errors: what Resend's SDKs read, and an RFC 9457 problem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from .faults import Fault

PROBLEM_JSON = "application/problem+json"


def problem(
    status: int,
    name: str,
    message: str,
    *,
    faults: Sequence[Fault] = (),
    request_id: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the body of an error.

    Args:
        status: Of the answer.
        name: The error as one word; clients may rely on it.
        message: What is wrong and what to do, in a sentence.
        faults: What is wrong, one by one.
        request_id: The name of the request in the log.
        extra: Further fields.
    """
    body = {
        "statusCode": status,
        "name": name,
        "message": message,
        "type": f"urn:postroom:error:{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "errors": [
            {"field": fault.field, "code": fault.code, "message": fault.message}
            for fault in faults
        ],
        "request_id": request_id,
        **(extra or {}),
    }
    # ASCII only: a field's name may hold what UTF-8 cannot carry.
    return json.dumps(body).encode()
