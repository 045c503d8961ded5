"""The broker of the worker processes: its middleware and how it bears an outage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dramatiq
import redis
import structlog
from dramatiq.broker import Consumer
from dramatiq.message import Message
from dramatiq.middleware import CurrentMessage, Middleware, Retries, TimeLimit
from periodiq import PeriodiqMiddleware

from ..domain.hint import SWEEP_QUEUE
from .message import is_message
from .shares import Share, ShareConsumer
from .swift_stop import SwiftStop
from .waiting import WaitingBroker

log = structlog.get_logger()

#: How old a sweep's message may be before it is skipped, in seconds. A backlog in
#: its queue is when the sweep is wanted most, so it is generous.
SKIP_DELAY_S = 300

#: After how long without a sign of life a worker's messages go back to their queue,
#: in ms, and how often (in a million commands) somebody looks.
HEARTBEAT_TIMEOUT_MS = 30_000
MAINTENANCE_CHANCE = 100_000


class SteadyBroker(WaitingBroker):
    """A Redis broker that neither an outage nor a broken message can upset.

    periodiq ends when an enqueue fails. A missed sweep is made up by the next one,
    so it may fail quietly; any other enqueue still raises. And a consumer that
    fetches what is no message would drop all that it fetched with it.

    Attributes:
        shares: The share that a queue belongs to, if there is one.
    """

    shares: Mapping[str, Share] = MappingProxyType({})

    def enqueue(
        self,
        message: Message[Any],
        *,
        delay: int | None = None,
    ) -> Message[Any]:
        """Enqueue a message; a sweep's is dropped while Redis is away."""
        try:
            return super().enqueue(message, delay=delay)
        except redis.RedisError:
            if message.queue_name != SWEEP_QUEUE:
                raise
            log.warning("sweep.not_enqueued", reason="redis is away")
            return message

    def consume(
        self, queue_name: str, prefetch: int = 1, timeout: int = 5000
    ) -> Consumer:
        """Consume a queue, within its share if it has one."""
        if share := self.shares.get(queue_name):
            return ShareConsumer(self, queue_name, timeout, share=share)
        return super().consume(queue_name, prefetch, timeout)

    def do_fetch(self, queue_name: str, prefetch: int) -> list[bytes | None]:
        """Fetch messages as Dramatiq's script does, without what is none.

        Args:
            queue_name: Of the queue, or of its delay queue (``.DQ``).
            prefetch: At most so many.
        """
        fetch = self._dispatch("fetch")  # type: ignore[no-untyped-call]
        fetched: list[bytes | None] = fetch(queue_name, prefetch)
        broken = {
            data
            for data in fetched
            if data is not None and not is_message(data, queue_name=queue_name)
        }
        if not broken:
            return fetched
        # Their content stays out of the log: nobody knows what it is.
        log.error("message.unreadable", queue=queue_name, count=len(broken))
        try:
            self._discard(queue_name, broken)
        except redis.RedisError:
            log.warning("message.not_discarded", queue=queue_name)
        return [data for data in fetched if data not in broken]

    def _discard(self, queue_name: str, broken: set[bytes]) -> None:
        """Remove fetched bytes that do not say under which id they were kept."""
        acks = f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}"
        fetched_ids = list(self.client.smembers(acks))
        kept = self.client.hmget(f"{self.namespace}:{queue_name}.msgs", fetched_ids)
        for message_id, data in zip(fetched_ids, kept, strict=True):
            if data in broken:
                self.do_ack(queue_name, message_id)


def build_broker(
    client: redis.Redis,
    middleware: Sequence[Middleware] = (),
    *,
    bell_client: redis.Redis | None = None,
) -> SteadyBroker:
    """Return the global broker, with the middleware that all our processes share.

    ``CurrentMessage`` stands before ``Retries``: hooks after a message run in the
    reverse order, and the retry predicate reads the current message.
    """
    broker = SteadyBroker(
        client=client,
        bell_client=bell_client,
        middleware=[
            TimeLimit(),
            CurrentMessage(),
            Retries(),
            PeriodiqMiddleware(skip_delay=SKIP_DELAY_S),
            SwiftStop(),
            *middleware,
        ],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=MAINTENANCE_CHANCE,
    )
    dramatiq.set_broker(broker)
    return broker
