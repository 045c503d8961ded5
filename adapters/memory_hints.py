"""The in-memory twin of the hints: a list that a test hands out as it likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.errors import HintError
from ..domain.hint import (
    RECONCILE_QUEUE,
    Hint,
    router_queue,
    send_queue,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """One hint as it lies in a queue."""

    queue: str
    what: Hint | str
    delay: timedelta


class MemoryHints:
    """Implements ``Hints`` over a list; ``away`` makes every call fail.

    ``forgotten`` is for a test to set. It is also set by a question that fails, by
    many hints at once, or by a second hint in a row: one alone is no outage.
    """

    def __init__(self) -> None:
        self.hinted: list[Hinted] = []
        self.away = False
        self.forgotten = False
        self._failures = 0

    def has_forgotten(self) -> bool:
        """Return whether hints may have been lost since ``remember`` was called."""
        self.forgotten = self.forgotten or self.away
        self._reach()
        return self.forgotten

    def remember(self) -> None:
        """Note that everything open has been offered again."""
        self._reach()
        self.forgotten = False

    def waiting(self) -> int:
        """Return how many hints at emails nobody is done with."""
        self._reach()
        return sum(isinstance(hinted.what, Hint) for hinted in self.hinted)

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        self._put(router_queue(hint.priority), hint, delay)

    def route_all(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        """Offer several emails to the router, each after its delay."""
        self._note_if_many(len(hints))
        for hint, delay in hints:
            self.route(hint, delay=delay)

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        self._put(send_queue(provider, hint.priority), hint, delay)

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for an unknown or abandoned email to be looked at."""
        self._put(RECONCILE_QUEUE, email_id, delay)

    def reconcile_all(self, email_ids: Sequence[str]) -> None:
        """Ask for several of them to be looked at now."""
        self._note_if_many(len(email_ids))
        for email_id in email_ids:
            self.reconcile(email_id)

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the next slice of a provider's parked emails."""
        self._put("release", provider, delay)

    def _note_if_many(self, count: int) -> None:
        self.forgotten = self.forgotten or (self.away and count > 1)

    def _put(self, queue: str, what: Hint | str, delay: timedelta) -> None:
        self._reach()
        wait = max(delay, timedelta(0))
        self.hinted.append(Hinted(queue=queue, what=what, delay=wait))

    def _reach(self) -> None:
        if self.away:
            self._failures += 1
            self.forgotten = self.forgotten or self._failures > 1
            raise HintError("away")
        self._failures = 0
