"""The in-memory twin of the hints: a list that a test hands out as it likes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..domain.errors import HintError
from ..domain.hint import (
    RECONCILE_QUEUE,
    ROUTER_QUEUE,
    Hint,
    send_queue,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """One hint as it lies in a queue."""

    queue: str
    what: Hint | str
    delay: timedelta


class MemoryHints:
    """Implements ``Hints`` over a list; ``away`` makes every call fail."""

    def __init__(self) -> None:
        self.hinted: list[Hinted] = []
        self.away = False

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        self._put(ROUTER_QUEUE, hint, delay)

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        self._put(send_queue(provider), hint, delay)

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for an unknown or abandoned email to be looked at."""
        self._put(RECONCILE_QUEUE, email_id, delay)

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the next slice of a provider's parked emails."""
        self._put("release", provider, delay)

    def _put(self, queue: str, what: Hint | str, delay: timedelta) -> None:
        if self.away:
            raise HintError("away")
        self.hinted.append(Hinted(queue=queue, what=what, delay=delay))
