"""Where an email would go now, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import falcon

from ..domain.access import Access
from ..services.explain import Explain
from .body import read_json
from .new_email import read_email
from .options import Options
from .provider_answers import routing_answer
from .reading import context_of


class RoutingExplanation:
    """`POST /api/routing/explain`."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "send"}

    def __init__(self, explain: Explain, options: Options) -> None:
        self._explain = explain
        self._options = options

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check an email as a POST of it would, and say where it would go."""
        new = read_email(
            read_json(req, limit=self._options.limits.body_bytes),
            context_of(self._explain, self._options),
            owner=req.context.owner,
            default_from=self._options.default_from,
        )

        access: Access = req.context.access
        resp.content_type = falcon.MEDIA_JSON
        resp.data = routing_answer(self._explain(access.admit(new))).to_json()
