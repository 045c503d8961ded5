"""Orders about one email: cancel it, or let it go again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import falcon

from ..services.cancel import Cancel
from ..services.redrive import Redrive
from .fields import Context
from .list_answers import ChangedAnswer
from .options import Options
from .orders import ForceIn, read_order


class EmailCancel:
    """`POST /api/emails/ID/cancel`."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "send"}

    def __init__(self, cancel: Cancel, options: Options) -> None:
        self._cancel = cancel
        self._context = Context(limits=options.limits)

    def on_post(
        self, req: falcon.Request, resp: falcon.Response, email_id: str
    ) -> None:
        """Take an email back while nothing of it was sent."""
        order = read_order(req, ForceIn, self._context)
        email = self._cancel(email_id, force=order.force, owner=req.context.owner)

        resp.content_type = falcon.MEDIA_JSON
        resp.data = ChangedAnswer(id=email.email_id).to_json()


class EmailRetry:
    """`POST /api/emails/ID/retry`."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "send"}

    def __init__(self, redrive: Redrive, options: Options) -> None:
        self._redrive = redrive
        self._context = Context(limits=options.limits)

    def on_post(
        self, req: falcon.Request, resp: falcon.Response, email_id: str
    ) -> None:
        """Let a dead letter go again: 202, since it is yet to be sent."""
        order = read_order(req, ForceIn, self._context)
        email = self._redrive(email_id, force=order.force, owner=req.context.owner)

        resp.status = falcon.HTTP_202
        resp.content_type = falcon.MEDIA_JSON
        resp.data = ChangedAnswer(id=email.email_id).to_json()
