"""The emails: accept and list them, show, move or erase one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import falcon

from ..domain.acceptance import NewEmail
from ..domain.access import Access
from ..domain.idempotency import Route
from ..services.accept import Accept
from ..services.accept_together import AcceptTogether
from ..services.erase import Erase
from ..services.listing import Listing
from ..services.reschedule import Reschedule
from ..services.show import Show
from .answers import accepted_answer, email_answer
from .batch_answers import receipt_answer
from .body import read_json
from .errors import ApiError, validation_error
from .faults import Fault, FaultCode
from .fields import Context
from .idempotency import key_of, mark_replay
from .list_answers import ChangedAnswer, list_answer
from .new_email import read_email
from .options import Options
from .orders import RescheduleIn, read_order
from .queries import emails_asked
from .reading import context_of

_EMAIL_ID = re.compile(r"[0-9a-f]{24}")


class EmailCollection:
    """`POST /api/emails` and `GET /api/emails`."""

    needs: ClassVar[Mapping[str, str]] = {"GET": "read", "POST": "send"}

    def __init__(
        self,
        accept: Accept,
        together: AcceptTogether,
        listing: Listing,
        options: Options,
    ) -> None:
        self._accept = accept
        self._together = together
        self._listing = listing
        self._options = options

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List emails, the newest first."""
        query, page = emails_asked(req)
        found = self._listing(query, page, owner=req.context.owner)

        resp.content_type = falcon.MEDIA_JSON
        resp.data = list_answer(found).to_json()

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Accept one email: 201 once it is stored, and not before."""
        key = key_of(req, Route.EMAILS)
        new = self._read(req)
        if key is None:
            answer = accepted_answer(self._accept(new))
        else:
            accepted = self._together.one(new, key=key)
            answer = receipt_answer(accepted.receipt)
            mark_replay(resp, accepted)

        resp.status = falcon.HTTP_201
        resp.location = f"/api/emails/{answer.id}"
        resp.content_type = falcon.MEDIA_JSON
        resp.data = answer.to_json()

    def _read(self, req: falcon.Request) -> NewEmail:
        new = read_email(
            read_json(req, limit=self._options.limits.body_bytes),
            context_of(self._accept, self._options),
            owner=req.context.owner,
            default_from=self._options.default_from,
        )
        access: Access = req.context.access
        return access.admit(new)


class EmailItem:
    """`GET`, `PATCH` and `DELETE /api/emails/ID`."""

    needs: ClassVar[Mapping[str, str]] = {
        "GET": "read",
        "PATCH": "send",
        "DELETE": "admin",
    }

    def __init__(
        self, show: Show, reschedule: Reschedule, erase: Erase, options: Options
    ) -> None:
        self._show = show
        self._reschedule = reschedule
        self._erase = erase
        self._context = Context(limits=options.limits, clock=reschedule.clock.now)

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        email_id: str,
    ) -> None:
        """Show one email; another owner's is not there."""
        known = _EMAIL_ID.fullmatch(email_id)
        email = self._show(email_id, owner=req.context.owner) if known else None
        if email is None:
            raise ApiError(404, "not_found", "there is no email of this id")

        resp.content_type = falcon.MEDIA_JSON
        resp.data = email_answer(email).to_json()

    def on_patch(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        email_id: str,
    ) -> None:
        """Move a scheduled email to another time."""
        order = read_order(req, RescheduleIn, self._context, required=True)
        if order.id not in {None, email_id}:
            message = "must be that of the address, or absent"
            fault = Fault(field="id", code=FaultCode.CONFLICT, message=message)
            raise validation_error([fault])
        email = self._reschedule(
            email_id, to=order.scheduled_at, owner=req.context.owner
        )

        resp.content_type = falcon.MEDIA_JSON
        resp.data = ChangedAnswer(id=email.email_id).to_json()

    def on_delete(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        email_id: str,
    ) -> None:
        """Erase what a final email said, and to whom; its record stays."""
        self._erase(email_id, owner=req.context.owner)

        resp.status = falcon.HTTP_204
