"""Every answer of the application that is an error, made in this place.

What never reaches it is answered by `unheard.py`, with the same body (`problem.py`).
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import falcon
import structlog

from ..domain.errors import (
    BreakersAwayError,
    ClockUnsureError,
    EmailNotFoundError,
    ForbiddenTransitionError,
    KeyInUseError,
    KeyReusedError,
    NoTransactionsError,
    NotStoredError,
    PostroomError,
    SearchTimeoutError,
    SenderForbiddenError,
    StorageUnsureError,
    StoreUnavailableError,
    UncarriableError,
    UncarriableItemsError,
    UnknownProviderError,
)
from .faults import MOST_FAULTS, Fault, FaultCode
from .problem import PROBLEM_JSON, problem

#: Names of errors that falcon raises itself, by status.
_NAMES: Mapping[int, str] = {
    400: "validation_error",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}

#: Routes that accept email: there an error says whether it was stored.
_ACCEPTING = frozenset(
    {"/api/emails", "/api/email", "/api/emails/batch", "/api/email/batch"}
)

log = structlog.get_logger(__name__)


class ApiError(falcon.HTTPError):
    """Raised to answer with an error.

    Attributes:
        name: The error as one word; clients may rely on it.
        message: What is wrong and what to do, in a sentence.
        faults: What is wrong, one by one.
        extra: Further fields of the body.
    """

    def __init__(
        self,
        status: int,
        name: str,
        message: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, headers=dict(headers or {}))
        self.name = name
        self.message = message
        self.faults = faults
        self.extra = extra or {}


def validation_error(faults: Sequence[Fault]) -> ApiError:
    """Return the error for a request with these faults (at least one)."""
    shown = tuple(faults[:MOST_FAULTS])
    first = shown[0]
    where = f"`{first.field}` " if first.field else ""
    more = f" (and {len(faults) - 1} more, see errors)" if len(faults) > 1 else ""
    return ApiError(
        400,
        "validation_error",
        f"{where}{first.message}{more}",
        faults=shown,
    )


def install(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Let the application answer every exception with the one body."""
    app.add_error_handler(Exception, _answer_crash)
    app.add_error_handler(falcon.HTTPError, _answer_falcon)
    app.add_error_handler(ApiError, _answer)
    app.add_error_handler(UncarriableError, _answer_uncarriable)
    app.add_error_handler(UncarriableItemsError, _answer_uncarriable_items)
    app.add_error_handler(KeyReusedError, _answer_reused_key)
    app.add_error_handler(KeyInUseError, _answer_key_in_use)
    app.add_error_handler(SenderForbiddenError, _answer_forbidden_sender)
    app.add_error_handler(NotStoredError, _answer_not_stored)
    app.add_error_handler(NoTransactionsError, _answer_no_transactions)
    app.add_error_handler(ClockUnsureError, _answer_clock_unsure)
    app.add_error_handler(StorageUnsureError, _answer_unsure)
    app.add_error_handler(StoreUnavailableError, _answer_away)
    app.add_error_handler(EmailNotFoundError, _answer_no_email)
    app.add_error_handler(ForbiddenTransitionError, _answer_conflict)
    app.add_error_handler(UnknownProviderError, _answer_no_provider)
    app.add_error_handler(SearchTimeoutError, _answer_too_slow)
    app.add_error_handler(BreakersAwayError, _answer_breakers_away)


def _answer(
    req: falcon.Request,
    resp: falcon.Response,
    ex: ApiError,
    _params: dict[str, Any],
) -> None:
    resp.status = ex.status
    resp.content_type = _wanted_type(req)
    resp.data = problem(
        int(ex.status),
        ex.name,
        ex.message,
        faults=ex.faults,
        request_id=_request_id(req),
        extra=ex.extra,
    )
    resp.set_headers(dict(ex.headers or {}))
    resp.context.error_name = ex.name


def _request_id(req: falcon.Request) -> str | None:
    return getattr(req.context, "request_id", None)


def _wanted_type(req: falcon.Request) -> str:
    """Return the problem type only to a client that asks for it by name."""
    asked = (part.partition(";")[0].strip().lower() for part in req.accept.split(","))
    return PROBLEM_JSON if PROBLEM_JSON in asked else falcon.MEDIA_JSON


def _answer_falcon(
    req: falcon.Request,
    resp: falcon.Response,
    ex: falcon.HTTPError,
    params: dict[str, Any],
) -> None:
    status = falcon.http_status_to_code(ex.status)
    headers = ex.headers if isinstance(ex.headers, dict) else dict(ex.headers or [])
    match status:
        case 404:
            message = "there is nothing at this address"
        case 405:
            allowed = headers.get("Allow", "")
            message = f"{req.method} is not allowed here, only {allowed}"
        case _:
            message = ex.description or ex.title or "the request cannot be read"
    name = _NAMES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    _answer(req, resp, ApiError(status, name, message, headers=headers), params)


def _answer_uncarriable(
    req: falcon.Request,
    resp: falcon.Response,
    ex: UncarriableError,
    params: dict[str, Any],
) -> None:
    faults = [
        Fault(field="", code=FaultCode.CANNOT_CARRY, message=f"{provider}: {why}")
        for provider, why in ex.reasons.items()
    ]
    error = ApiError(400, "no_provider", str(ex), faults=faults)
    _answer(req, resp, error, params)


def uncarriable_faults(items: Mapping[int, Mapping[str, str]]) -> list[Fault]:
    """Return a fault for each email of a batch that no provider could carry."""
    return [
        Fault(
            field="",
            code=FaultCode.CANNOT_CARRY,
            message=str(UncarriableError(reasons)),
        ).of_item(index)
        for index, reasons in items.items()
    ]


def _answer_uncarriable_items(
    req: falcon.Request,
    resp: falcon.Response,
    ex: UncarriableItemsError,
    params: dict[str, Any],
) -> None:
    faults = uncarriable_faults(ex.items)[:MOST_FAULTS]
    _answer(req, resp, ApiError(400, "no_provider", str(ex), faults=faults), params)


def _answer_reused_key(
    req: falcon.Request,
    resp: falcon.Response,
    _ex: KeyReusedError,
    params: dict[str, Any],
) -> None:
    message = (
        "this Idempotency-Key came with another request before: repeat that one as it "
        "was, or take a new key"
    )
    error = ApiError(409, "invalid_idempotent_request", message)
    _answer(req, resp, error, params)


def _answer_key_in_use(
    req: falcon.Request,
    resp: falcon.Response,
    _ex: KeyInUseError,
    params: dict[str, Any],
) -> None:
    message = "a request with this Idempotency-Key is still in hand: try again"
    headers = {"Retry-After": "1"}
    error = ApiError(409, "concurrent_idempotent_requests", message, headers=headers)
    _answer(req, resp, error, params)


def _answer_no_transactions(
    req: falcon.Request,
    resp: falcon.Response,
    _ex: NoTransactionsError,
    params: dict[str, Any],
) -> None:
    _log(req, "http.no_transactions")
    message = (
        "Idempotency-Key and batches need a MongoDB that is a replica set, and this "
        "one stands alone: nothing was stored"
    )
    _answer(req, resp, ApiError(501, "transactions_missing", message), params)


def _answer_forbidden_sender(
    req: falcon.Request,
    resp: falcon.Response,
    ex: SenderForbiddenError,
    params: dict[str, Any],
) -> None:
    fault = Fault(field="from", code=FaultCode.SENDER_NOT_ALLOWED, message=str(ex))
    error = ApiError(403, "restricted_api_key", str(ex), faults=[fault])
    _answer(req, resp, error, params)


def _answer_not_stored(
    req: falcon.Request,
    resp: falcon.Response,
    ex: Exception,
    params: dict[str, Any],
) -> None:
    _log(req, "http.not_stored", error=type(ex).__name__)
    message = "nothing was stored and nothing will be sent; send it again"
    _answer(req, resp, ApiError(500, "not_stored", message), params)


def _answer_unsure(
    req: falcon.Request,
    resp: falcon.Response,
    ex: StorageUnsureError,
    params: dict[str, Any],
) -> None:
    _log(req, "http.storage_unsure", email_id=ex.email_id)
    message = (
        "it may have been stored: repeat the request with the same Idempotency-Key"
        if ex.has_key
        else "it may have been stored: GET it by its id before sending it again, or it "
        "may be sent twice"
    )
    extra: dict[str, Any] = {"id": ex.email_id}
    if len(ex.email_ids) > 1:
        extra["ids"] = list(ex.email_ids)  # all are stored, or none
    headers = {"Location": f"/api/emails/{ex.email_id}", "Retry-After": "5"}
    error = ApiError(503, "storage_unsure", message, headers=headers, extra=extra)
    _answer(req, resp, error, params)


def _answer_away(
    req: falcon.Request,
    resp: falcon.Response,
    ex: PostroomError,
    params: dict[str, Any],
) -> None:
    _log(req, "http.store_unavailable", error=type(ex).__name__)
    message = "the store did not answer; try again"
    headers = {"Retry-After": "5"}
    error = ApiError(503, "store_unavailable", message, headers=headers)
    _answer(req, resp, error, params)


def _answer_clock_unsure(
    req: falcon.Request,
    resp: falcon.Response,
    ex: ClockUnsureError,
    params: dict[str, Any],
) -> None:
    """Without the store's time nothing is stored, and nothing is changed."""
    answer = _answer_not_stored if req.uri_template in _ACCEPTING else _answer_away
    answer(req, resp, ex, params)


def _answer_no_email(
    req: falcon.Request,
    resp: falcon.Response,
    _ex: EmailNotFoundError,
    params: dict[str, Any],
) -> None:
    error = ApiError(404, "not_found", "there is no email of this id")
    _answer(req, resp, error, params)


def _answer_conflict(
    req: falcon.Request,
    resp: falcon.Response,
    ex: ForbiddenTransitionError,
    params: dict[str, Any],
) -> None:
    _answer(req, resp, ApiError(409, "conflict", str(ex)), params)


def _answer_no_provider(
    req: falcon.Request,
    resp: falcon.Response,
    ex: UnknownProviderError,
    params: dict[str, Any],
) -> None:
    known = ", ".join(ex.known)
    message = f"there is no provider of this name, only {known}"
    _answer(req, resp, ApiError(404, "not_found", message), params)


def _answer_too_slow(
    req: falcon.Request,
    resp: falcon.Response,
    ex: SearchTimeoutError,
    params: dict[str, Any],
) -> None:
    _log(req, "http.search_timeout", error=type(ex).__name__)
    message = "the search was not done in its time; ask for less"
    headers = {"Retry-After": "5"}
    error = ApiError(503, "search_timeout", message, headers=headers)
    _answer(req, resp, error, params)


def _answer_breakers_away(
    req: falcon.Request,
    resp: falcon.Response,
    ex: BreakersAwayError,
    params: dict[str, Any],
) -> None:
    headers = {"Retry-After": "5"}
    error = ApiError(503, "breakers_away", str(ex), headers=headers)
    _answer(req, resp, error, params)


def _log(req: falcon.Request, event: str, **facts: str) -> None:
    log.error(event, request_id=_request_id(req), route=req.uri_template, **facts)


def _answer_crash(
    req: falcon.Request,
    resp: falcon.Response,
    ex: Exception,
    params: dict[str, Any],
) -> None:
    # The frames, not the exception's words: these may quote an address or a body.
    trace = "".join(traceback.format_tb(ex.__traceback__))
    _log(req, "http.crash", error=type(ex).__name__, trace=trace)
    message = "something went wrong here; the log has it under the request_id"
    _answer(req, resp, ApiError(500, "application_error", message), params)
