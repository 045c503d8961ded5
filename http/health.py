"""Is the process there, and can it accept mail?"""

from __future__ import annotations

from importlib.metadata import version

import falcon

from ..services.ready import Ready
from .answers import HealthAnswer, ReadyAnswer


class Health:
    """`GET /health`: the process answers; nothing else is looked at."""

    is_open = True

    def __init__(self) -> None:
        self._answer = HealthAnswer(version=version("postroom")).to_json()

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Say who is there."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._answer

    on_head = on_get


class Readiness:
    """`GET /ready`: 200 while an email would be stored, 503 while it would not."""

    is_open = True

    def __init__(self, ready: Ready) -> None:
        self._ready = ready

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Say whether mail is accepted and what else is amiss."""
        readiness = self._ready()

        # What is degraded only delays mail: turning it away for that would lose it.
        resp.status = falcon.HTTP_200 if readiness.accepting else falcon.HTTP_503
        resp.content_type = falcon.MEDIA_JSON
        resp.data = ReadyAnswer(
            ready=readiness.accepting,
            degraded=list(readiness.degraded),
        ).to_json()

    on_head = on_get
