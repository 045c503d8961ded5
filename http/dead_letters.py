"""Dead letters: emails that need a human, listed and let go again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import falcon

from ..domain.archive import DeadLetters
from ..services.listing import Listing
from ..services.replay import Replay
from .fields import Context
from .list_answers import list_answer, replay_answer
from .options import Options
from .orders import ReplayIn, read_order
from .queries import dead_letters_asked


class DeadLetterCollection:
    """`GET /api/dead-letters`."""

    needs: ClassVar[Mapping[str, str]] = {"GET": "read"}

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List dead letters, the newest email first."""
        query, page = dead_letters_asked(req)
        found = self._listing.dead_letters(query, page, owner=req.context.owner)

        resp.content_type = falcon.MEDIA_JSON
        resp.data = list_answer(found).to_json()


class DeadLetterReplay:
    """`POST /api/dead-letters/replay`."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "admin"}

    def __init__(self, replay: Replay, options: Options) -> None:
        self._replay = replay
        self._context = Context(limits=options.limits)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let dead letters go again, or count them."""
        order = read_order(req, ReplayIn, self._context)
        query = DeadLetters(
            owner=req.context.owner,
            reason=order.reason,
            provider=order.provider,
            since=order.since,
        )
        replayed = self._replay(query, limit=order.limit, dry_run=order.dry_run)

        resp.content_type = falcon.MEDIA_JSON
        resp.data = replay_answer(replayed, dry_run=order.dry_run).to_json()
