"""The broker of the worker processes: its middleware and how it bears an outage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dramatiq
import redis
import structlog
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message
from dramatiq.middleware import CurrentMessage, Middleware, Retries, TimeLimit
from periodiq import PeriodiqMiddleware

from ..domain.access import TEST_PROVIDER
from ..domain.email import Priority
from ..domain.hint import RECONCILE_QUEUE, SWEEP_QUEUE, send_queue
from .message import is_message
from .shares import Share, ShareConsumer

log = structlog.get_logger()

#: How old a sweep's message may be before it is skipped, in seconds. A backlog in
#: its queue is when the sweep is wanted most, so it is generous.
SKIP_DELAY_S = 300

#: After how long without a sign of life a worker's messages go back to their queue,
#: in ms, and how often (in a million commands) somebody looks.
HEARTBEAT_TIMEOUT_MS = 30_000
MAINTENANCE_CHANCE = 100_000


#: Queues where nobody waits for the millisecond: those of delayed messages, of low
#: priority, of test email, and for what the sweep found. They are polled this often,
#: in ms.
UNHURRIED_MS = 100
UNHURRIED = frozenset(
    {
        SWEEP_QUEUE,
        RECONCILE_QUEUE,
        *(send_queue(TEST_PROVIDER, priority) for priority in Priority),
    }
)
UNHURRIED_ENDINGS = (".DQ", ".low")


class SteadyBroker(RedisBroker):
    """A Redis broker that neither an outage nor a broken message can upset.

    periodiq ends when an enqueue fails. A missed sweep is made up by the next one,
    so it may fail quietly; any other enqueue still raises. And a consumer that
    fetches what is no message would drop all that it fetched with it.

    Attributes:
        shares: The share that a queue belongs to, if there is one.
        quiet_until: Nothing is fetched earlier, by the monotonic clock in seconds.
    """

    shares: Mapping[str, Share] = MappingProxyType({})
    quiet_until = 0.0

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
        """Consume a queue; one where nobody waits for the millisecond more slowly.

        Each queue is polled by a thread of its own, also while nothing happens.
        """
        unhurried = queue_name.endswith(UNHURRIED_ENDINGS) or queue_name in UNHURRIED
        pace = max(timeout, UNHURRIED_MS) if unhurried else timeout
        if share := self.shares.get(queue_name):
            return ShareConsumer(self, queue_name, pace, share=share)
        return super().consume(queue_name, prefetch, pace)

    def do_fetch(self, queue_name: str, prefetch: int) -> list[bytes | None]:
        """Fetch messages as Dramatiq's script does, without what is none.

        Args:
            queue_name: Of the queue, or of its delay queue (``.DQ``).
            prefetch: At most so many.
        """
        if time.monotonic() < self.quiet_until:
            return []
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
) -> SteadyBroker:
    """Return the global broker, with the middleware that all our processes share.

    ``CurrentMessage`` stands before ``Retries``: hooks after a message run in the
    reverse order, and the retry predicate reads the current message.
    """
    broker = SteadyBroker(  # type: ignore[no-untyped-call]  # Dramatiq's __init__ is not
        client=client,
        middleware=[
            TimeLimit(),
            CurrentMessage(),
            Retries(),
            PeriodiqMiddleware(skip_delay=SKIP_DELAY_S),
            *middleware,
        ],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=MAINTENANCE_CHANCE,
    )
    dramatiq.set_broker(broker)
    return broker
