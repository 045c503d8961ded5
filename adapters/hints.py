"""Hints as Dramatiq messages, built by actor name: no actor is imported here."""

from __future__ import annotations

import time
from datetime import timedelta

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from ..domain.errors import HintError
from ..domain.hint import (
    RECONCILE_ACTOR,
    RECONCILE_QUEUE,
    RELEASE_ACTOR,
    ROUTER_ACTOR,
    ROUTER_QUEUE,
    Hint,
    send_queue,
)

#: How long a failed hint keeps this process from trying Redis again, in seconds, so
#: that an outage delays one request and not all of them.
AWAY_S = 5.0


class RedisHints:
    """Implements ``Hints`` over the broker's Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._broker = RedisBroker(client=client, middleware=[])
        self._away_until = 0.0

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        self._enqueue(ROUTER_QUEUE, ROUTER_ACTOR, (hint.to_message(),), delay)

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        queue = send_queue(provider)
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
        if time.monotonic() < self._away_until:
            raise HintError("Redis was away a moment ago")
        message: Message[None] = Message(
            queue_name=queue,
            actor_name=actor,
            args=args,
            kwargs={},
            options={},
        )
        delay_ms = round(delay / timedelta(milliseconds=1))
        try:
            self._broker.enqueue(message, delay=delay_ms if delay_ms > 0 else None)
        except redis.RedisError as ex:
            self._away_until = time.monotonic() + AWAY_S
            raise HintError(f"Redis did not take a hint for {queue}") from ex
