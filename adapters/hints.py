"""Hints as Dramatiq messages, built by actor name: no actor is imported here."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import redis
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from ..domain.errors import HintError
from ..domain.hint import (
    RECONCILE_ACTOR,
    RECONCILE_QUEUE,
    RELEASE_ACTOR,
    Hint,
    router_actor,
    router_queue,
    send_queue,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: How long a failed hint keeps this process from trying Redis again, in seconds, so
#: that an outage delays one request and not all of them.
AWAY_S = 5.0

#: The same after a single failure.
HICCUP_S = 0.5

#: It is there as long as Redis has kept what it was given: an emptied one lacks it.
MEMORY_KEY = "postroom:remembers"


class RedisHints:
    """Implements ``Hints`` over the broker's Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._broker = RedisBroker(client=client, middleware=[])
        self._away_until = 0.0
        self._failures = 0
        self._was_away = False
        self._owes_offers = False

    def has_forgotten(self) -> bool:
        """Return whether hints may have been lost since ``remember`` was called."""
        try:
            has_memory = self._ask(lambda: self._client.exists(MEMORY_KEY))
        except HintError:
            self._was_away = True
            raise
        if self._was_away:
            # A failure from here on counts again.
            self._was_away, self._owes_offers = False, True
        return self._owes_offers or not has_memory

    def remember(self) -> None:
        """Note that everything open has been offered again."""
        self._ask(lambda: self._client.set(MEMORY_KEY, 1))
        self._owes_offers = False

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        queue, actor = router_queue(hint.priority), router_actor(hint.priority)
        self._enqueue(queue, actor, (hint.to_message(),), delay)

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        queue = send_queue(provider, hint.priority)
        self._enqueue(queue, queue, (hint.to_message(),), delay)

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for an unknown or abandoned email to be looked at."""
        self._enqueue(RECONCILE_QUEUE, RECONCILE_ACTOR, (email_id,), delay)

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the next slice of a provider's parked emails."""
        self._enqueue(RECONCILE_QUEUE, RELEASE_ACTOR, (provider,), delay)

    def _enqueue(
        self,
        queue: str,
        actor: str,
        args: tuple[object, ...],
        delay: timedelta,
    ) -> None:
        message: Message[None] = Message(
            queue_name=queue,
            actor_name=actor,
            args=args,
            kwargs={},
            options={},
        )
        delay_ms = round(delay / timedelta(milliseconds=1))
        wait = delay_ms if delay_ms > 0 else None
        try:
            self._ask(lambda: self._broker.enqueue(message, delay=wait))
        except HintError:
            log.info("hint.failed", queue=queue)
            raise

    def _ask(self, what: Callable[[], T]) -> T:
        if time.monotonic() < self._away_until:
            raise HintError("Redis was away a moment ago")
        try:
            answer = what()
        except redis.RedisError as ex:
            self._note_failure()
            raise HintError("Redis did not answer") from ex
        self._failures = 0
        return answer

    def _note_failure(self) -> None:
        """One may be a hiccup, which costs a hint or two; a second one is an outage."""
        self._failures += 1
        is_away = self._failures > 1
        self._was_away = self._was_away or is_away
        self._away_until = time.monotonic() + (AWAY_S if is_away else HICCUP_S)
