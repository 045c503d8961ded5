"""The emails: accept and list them, show, move or erase one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import falcon

from ..domain.acceptance import NewEmail
from ..services.accept import Accept
from ..services.erase import Erase
from ..services.listing import Listing
from ..services.reschedule import Reschedule
from ..services.show import Show
from .answers import accepted_answer, email_answer
from .body import read_json
from .errors import ApiError
from .fields import Context
from .list_answers import ChangedAnswer, list_answer
from .new_email import read_email
from .options import Options
from .orders import RescheduleIn, read_order
from .queries import emails_asked

_EMAIL_ID = re.compile(r"[0-9a-f]{24}")


class EmailCollection:
    """`POST /api/emails` and `GET /api/emails`."""

    needs: ClassVar[Mapping[str, str]] = {"GET": "read", "POST": "send"}

    def __init__(self, accept: Accept, listing: Listing, options: Options) -> None:
        self._accept = accept
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
        email = self._accept(self._read(req))

        resp.status = falcon.HTTP_201
        resp.location = f"/api/emails/{email.email_id}"
        resp.content_type = falcon.MEDIA_JSON
        resp.data = accepted_answer(email).to_json()

    def _read(self, req: falcon.Request) -> NewEmail:
        if req.get_header("Idempotency-Key") is not None:
            # Ignoring it would be a lie: the client would repeat without fear.
            raise ApiError(
                400,
                "not_supported_yet",
                "Idempotency-Key is not supported yet: leave it out, and know that "
                "a repeated request is a second email",
            )
        context = Context(
            limits=self._options.limits,
            clock=self._accept.clock.now,
            providers=tuple(profile.name for profile in self._accept.profiles),
        )
        return read_email(
            read_json(req, limit=self._options.limits.body_bytes),
            context,
            owner=req.context.owner,
            default_from=self._options.default_from,
        )


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
