"""A bound on the large bodies that one process has in hand, and so on its memory.

A body of 15 MB becomes a hundred in the forms in which it is read, checked and stored.
Small ones are not counted: however many threads there are, they take little.
"""

from __future__ import annotations

import threading
from typing import Any

import falcon

from .errors import ApiError
from .heard import LARGE_BODY

#: Large bodies that are in hand at once, from their first byte to the answer.
MOST_IN_HAND = 2

#: Requests that wait for that, each with a thread: half of all stay free for others.
MOST_WAITING = 6

#: How long they wait, in seconds.
PATIENCE_S = 10.0


class LargeBodies:
    """Middleware that counts them; `read_json` asks it for admission."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MOST_IN_HAND)
        self._places = threading.BoundedSemaphore(MOST_IN_HAND + MOST_WAITING)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Let the request find its way here."""
        req.context.large_bodies = self

    def admit(self, req: falcon.Request) -> None:
        """Take a large body in hand, once a place is free; twice is once.

        Raises:
            ApiError: 503, there are too many of them.
        """
        if getattr(req.context, "is_large", False):
            return
        if not self._places.acquire(blocking=False):
            raise _busy()
        if not self._free.acquire(timeout=PATIENCE_S):
            self._places.release()
            raise _busy()
        req.context.is_large = True

    def process_response(
        self,
        req: falcon.Request,
        _resp: falcon.Response,
        _resource: object,
        _req_succeeded: bool,  # noqa: FBT001 - falcon's signature
    ) -> None:
        """Make room for the next one."""
        if getattr(req.context, "is_large", False):
            self._free.release()
            self._places.release()


def admit_large(req: falcon.Request, size: int) -> None:
    """Ask for admission if a body of this many bytes needs one.

    Raises:
        ApiError: 503, there are too many large bodies in hand.
    """
    bodies: Any = getattr(req.context, "large_bodies", None)
    if size > LARGE_BODY and bodies is not None:
        bodies.admit(req)


def _busy() -> ApiError:
    return ApiError(
        503,
        "too_busy",
        f"too many bodies over {LARGE_BODY} bytes are in hand: try again",
        headers={"Retry-After": "2"},
    )
