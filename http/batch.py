"""Many emails in one request: all of them, or those that are fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar

import falcon

from ..domain.acceptance import NewEmail
from ..domain.access import Access
from ..domain.email import Priority
from ..domain.idempotency import Route, Unfit, digest_of
from ..services.accept_together import AcceptTogether, Item
from .batch_answers import batch_answer
from .body import read_json
from .errors import ApiError, uncarriable_faults, validation_error
from .faults import Fault, FaultCode
from .idempotency import key_of, mark_replay
from .new_email import read_email
from .options import Options
from .reading import context_of

HEADER = "x-batch-validation"

#: Most emails of a batch.
MOST_EMAILS = 100

#: Most faults of one email that its message tells.
_MOST_TOLD = 5

_NO_FILES = "cannot be in a batch; send such an email by itself"


class Validation(StrEnum):
    """What one email that is not valid does to the others."""

    STRICT = "strict"
    PERMISSIVE = "permissive"


class BatchCollection:
    """`POST /api/emails/batch`."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "send"}

    def __init__(self, accept: AcceptTogether, options: Options) -> None:
        self._accept = accept
        self._options = options

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Accept a batch: 200 once all of it is stored, and not before."""
        key = key_of(req, Route.BATCH)
        is_strict = _validation_of(req) is Validation.STRICT
        items = self._read(req, is_strict=is_strict)
        accepted = self._accept(items, is_strict=is_strict, key=key)

        mark_replay(resp, accepted)
        resp.content_type = falcon.MEDIA_JSON
        resp.data = batch_answer(accepted.receipt, is_strict=is_strict).to_json()

    def _read(self, req: falcon.Request, *, is_strict: bool) -> list[Item]:
        raw = read_json(req, limit=self._options.limits.body_bytes)
        items: list[Item] = []
        faults: list[Fault] = []
        for index, one in enumerate(_counted(raw)):
            found = self._read_one(one, req.context.access)
            if isinstance(found, NewEmail):
                items.append(found)
                continue
            items.append(_unfit(index, one, found))
            faults += [fault.of_item(index) for fault in found]
        if faults and is_strict:
            carriable = uncarriable_faults(self._accept.uncarriable(items))
            raise validation_error(faults + carriable)
        return items

    def _read_one(self, raw: object, access: Access) -> NewEmail | list[Fault]:
        """Return an email, or all that is wrong with it."""
        if not isinstance(raw, dict):
            return [_fault(FaultCode.WRONG_TYPE, "must be a JSON object")]
        faults: list[Fault] = []
        given = dict(raw)
        if given.pop("attachments", None) not in (None, []):
            faults.append(
                _fault(FaultCode.NOT_SUPPORTED_YET, _NO_FILES, field="attachments")
            )
        # Nobody waits for one of many as for a single email.
        if given.get("priority") is None:
            given["priority"] = Priority.LOW.value
        try:
            new = read_email(
                given,
                context_of(self._accept, self._options),
                owner=access.owner,
                default_from=self._options.default_from,
            )
        except ApiError as ex:
            return [*ex.faults, *faults]
        return faults or access.admit(new)


def _validation_of(req: falcon.Request) -> Validation:
    word = req.get_header(HEADER)
    try:
        return Validation.STRICT if word is None else Validation(word.strip().lower())
    except ValueError as ex:
        message = "must be strict or permissive"
        fault = _fault(FaultCode.NOT_A_CHOICE, message, field=HEADER)
        raise validation_error([fault]) from ex


def _counted(raw: object) -> list[Any]:
    if not isinstance(raw, list):
        message = "the body must be a JSON array of emails"
        raise validation_error([_fault(FaultCode.WRONG_TYPE, message)])
    if not raw:
        message = "the body must be 1 email or more, got none"
        raise validation_error([_fault(FaultCode.EMPTY, message)])
    if len(raw) > MOST_EMAILS:
        message = f"the body must be at most {MOST_EMAILS} emails, got {len(raw)}"
        raise validation_error([_fault(FaultCode.TOO_MANY, message)])
    return raw


def _fault(code: FaultCode, message: str, *, field: str = "") -> Fault:
    return Fault(field=field, code=code, message=message)


def _unfit(index: int, raw: object, faults: list[Fault]) -> Unfit:
    message = "; ".join(_told(faults))
    return Unfit(index=index, message=message, digest=digest_of(raw))


def _told(faults: list[Fault]) -> Iterator[str]:
    for fault in faults[:_MOST_TOLD]:
        yield f"`{fault.field}` {fault.message}" if fault.field else fault.message
    if len(faults) > _MOST_TOLD:
        yield f"and {len(faults) - _MOST_TOLD} more"
