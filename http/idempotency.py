"""The header `Idempotency-Key`, and what says that an answer is given again."""

from __future__ import annotations

import falcon

from ..domain.errors import InvalidValueError
from ..domain.idempotency import IdempotencyKey, Route
from ..services.accept_together import Accepted
from .errors import ApiError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"


def key_of(req: falcon.Request, route: Route) -> IdempotencyKey | None:
    """Return the client's name for a request, if it has one.

    Raises:
        ApiError: 400, it is too long, or empty.
    """
    value = req.get_header(HEADER)
    if value is None:
        return None
    try:
        return IdempotencyKey(owner=req.context.owner, route=route, value=value)
    except InvalidValueError as ex:
        raise ApiError(400, "invalid_idempotency_key", f"{HEADER}: {ex}") from ex


def mark_replay(resp: falcon.Response, accepted: Accepted) -> None:
    """Say that a request had been accepted before, if it had."""
    if accepted.is_replay:
        resp.set_header(REPLAYED, "true")
