"""One request of a client, whatever becomes of it."""

from __future__ import annotations

import http.client
import urllib.error
from collections.abc import Mapping
from typing import Any

from tests.e2e.service import Service


def ask(
    service: Service,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int | str, Any]:
    """Return the status and the body; without an answer, what broke the connection."""
    try:
        answer = service.request(method, path, body, headers)
    except urllib.error.URLError as ex:
        return type(ex.reason).__name__, None
    except (OSError, http.client.HTTPException, ValueError) as ex:
        return type(ex).__name__, None
    return answer.status, answer.body
