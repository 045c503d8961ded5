"""Each provider's share of this process's threads: no more is fetched than may run.

Dramatiq fetches ahead, from each queue, and whatever it has fetched gets the next free
thread: the emails of one slow provider would soon have them all. Here a message is
fetched only when there is a place for it. What has none stays in Redis, in its order.
Why so: docs/adr/0027-priorities-and-shares.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Any

import redis
from dramatiq import Broker, Middleware, Worker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed

from ..domain.bulkhead import places
from ..domain.email import Priority
from ..domain.hint import send_queue


class Share:
    """The places of one provider, for the queues of all its priorities."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Begin with all places free.

        Args:
            limits: For each queue how many places may be taken in all before it has
                to wait.
        """
        self.lock = Lock()
        self._limits = limits
        self._consumers: dict[str, ShareConsumer] = {}

    def join(self, queue_name: str, consumer: ShareConsumer) -> None:
        """Count a consumer in, instead of an older one of the same queue."""
        self._consumers[queue_name] = consumer

    def room(self, queue_name: str) -> int:
        """Return how many messages may be fetched from a queue; hold the lock."""
        consumers = self._consumers.values()
        taken: int = sum(each.outstanding_message_count for each in consumers)
        return max(0, self._limits[queue_name] - taken)


class ShareConsumer(_RedisConsumer):
    """Fetches what there is a place for: in hand is all that is not acknowledged."""

    def __init__(
        self, broker: Any, queue_name: str, timeout: int, *, share: Share
    ) -> None:
        super().__init__(broker, queue_name, 0, timeout)  # type: ignore[no-untyped-call]
        self._share = share
        share.join(queue_name, self)

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or ``None`` after a short wait.

        Raises:
            ConnectionClosed: Redis cannot be reached.
        """
        if not self.message_cache:
            try:
                self._fetch()
            except redis.ConnectionError as ex:
                raise ConnectionClosed(ex) from None
        # The base class fetches nothing by itself: its own limit is 0.
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        return message

    def _fetch(self) -> None:
        # Under the lock, or two queues would take the same places at once.
        with self._share.lock:
            room = self._share.room(self.queue_name)
            if room:
                self.message_cache = self.broker.do_fetch(self.queue_name, room)


def shares_of(
    providers: Collection[str],
    *,
    threads: int,
    queues: Collection[str] | None = None,
    most: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Share]:
    """Return the share that each queue belongs to.

    Args:
        providers: All that are configured.
        threads: Of this process.
        queues: The queues that it serves; ``None`` for all. A process that serves one
            provider only has no threads to keep for others.
        most: How many emails at once a provider allows each process, by its name.
    """
    names = {
        provider: [send_queue(provider, priority) for priority in Priority]
        for provider in providers
    }
    served = [
        p for p in names if queues is None or not set(names[p]).isdisjoint(queues)
    ]
    shares: dict[str, Share] = {}
    for provider in served:
        limits = places(threads, providers=len(served), most=most.get(provider))
        if limits is None:
            continue
        of_queues = {send_queue(provider, p): limits[p] for p in Priority}
        shares |= dict.fromkeys(of_queues, Share(of_queues))
    return shares


class ThreadShares(Middleware):
    """Shares the threads out when their number is known: before the first fetch."""

    def __init__(
        self,
        providers: Collection[str],
        *,
        most: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Share out later; ``most`` is what a provider allows, as of `shares_of`."""
        self._providers = providers
        self._most = most

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Give the broker the shares of this process."""
        broker.shares = shares_of(  # type: ignore[attr-defined]  # ours has them
            self._providers,
            threads=worker.worker_threads,
            queues=worker.consumer_whitelist,
            most=self._most,
        )
