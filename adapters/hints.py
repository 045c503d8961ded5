"""Hints as Dramatiq messages, built by actor name: no actor is imported here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import redis
import structlog
from dramatiq import Message

from ..domain.email import Priority
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
from .dramatiq_pipeline import EnqueueBroker
from .send_queues import NAMESPACE

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: How long a failed hint keeps a web process from trying Redis again, in seconds, so
#: that an outage delays one request and not all of them.
AWAY_S = 5.0

#: The same in a worker, where nobody waits for an answer.
AWAY_IN_WORKERS_S = 1.0

#: The same after a single failure.
HICCUP_S = 0.5

#: It is there as long as Redis has kept what it was given: an emptied one lacks it.
MEMORY_KEY = "postroom:remembers"


class RedisHints:
    """Implements ``Hints`` over the broker's Redis."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        providers: Iterable[str] = (),
        away_s: float = AWAY_S,
    ) -> None:
        """Connect to nothing yet.

        Args:
            client: Of the broker's Redis.
            providers: Whose queues are counted.
            away_s: How long an outage keeps it from trying again.
        """
        self._client = client
        self._counted = tuple(_messages_of(providers))
        self._broker = EnqueueBroker(client)
        self._away_s = away_s
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

    def waiting(self) -> int:
        """Return how many hints at emails nobody is done with, delayed ones too."""

        def count() -> list[int]:
            with self._client.pipeline(transaction=False) as pipeline:
                for key in self._counted:
                    pipeline.hlen(key)
                return pipeline.execute()

        return sum(self._ask(count))

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        self._enqueue([(_to_router(hint), delay)])

    def route_all(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        """Offer several emails to the router, each after its delay, together."""
        self._enqueue([(_to_router(hint), delay) for hint, delay in hints])

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        queue = send_queue(provider, hint.priority)
        self._enqueue([(_message(queue, queue, hint.to_message()), delay)])

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for an unknown or abandoned email to be looked at."""
        self._enqueue([(_to_reconcile(email_id), delay)])

    def reconcile_all(self, email_ids: Sequence[str]) -> None:
        """Ask for several of them to be looked at now, together."""
        self._enqueue([(_to_reconcile(each), timedelta(0)) for each in email_ids])

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the next slice of a provider's parked emails."""
        message = _message(RECONCILE_QUEUE, RELEASE_ACTOR, provider)
        self._enqueue([(message, delay)])

    def _enqueue(self, messages: Sequence[tuple[Message[None], timedelta]]) -> None:
        waiting = [(message, _wait_ms(delay)) for message, delay in messages]
        try:
            if len(waiting) == 1:
                message, wait_ms = waiting[0]
                self._ask(lambda: self._broker.enqueue(message, delay=wait_ms))
            else:
                self._ask(lambda: self._broker.enqueue_all(waiting))
        except HintError:
            # Many at once are more than a hint or two, which the grace makes up for.
            self._was_away = self._was_away or len(messages) > 1
            queues = sorted({message.queue_name for message, _ in messages})
            log.info("hint.failed", queue=" ".join(queues), count=len(messages))
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
        pause_s = self._away_s if is_away else HICCUP_S
        self._away_until = time.monotonic() + pause_s


def _messages_of(providers: Iterable[str]) -> Iterator[str]:
    """Give the keys of all hints that are to be routed or sent, or are in hand."""
    for priority in Priority:
        sending = (send_queue(provider, priority) for provider in providers)
        for queue in (router_queue(priority), *sending):
            yield f"{NAMESPACE}:{queue}.msgs"
            yield f"{NAMESPACE}:{queue}.DQ.msgs"


def _to_router(hint: Hint) -> Message[None]:
    queue, actor = router_queue(hint.priority), router_actor(hint.priority)
    return _message(queue, actor, hint.to_message())


def _to_reconcile(email_id: str) -> Message[None]:
    return _message(RECONCILE_QUEUE, RECONCILE_ACTOR, email_id)


def _message(queue: str, actor: str, what: object) -> Message[None]:
    return Message(
        queue_name=queue, actor_name=actor, args=(what,), kwargs={}, options={}
    )


def _wait_ms(delay: timedelta) -> int | None:
    if not delay:
        return None
    wait_ms = round(delay / timedelta(milliseconds=1))
    return wait_ms if wait_ms > 0 else None
