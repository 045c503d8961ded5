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

from dramatiq import Broker, Middleware, Worker

from ..domain.bulkhead import places
from ..domain.email import Priority
from ..domain.hint import send_queue
from .waiting import WaitingBroker, WaitingConsumer


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

    def tell_of_room(self) -> None:
        """Wake who waits for a place."""
        for each in self._consumers.copy().values():
            each.tell_of_room()

    def room(self, queue_name: str) -> int:
        """Return how many messages may be fetched from a queue.

        Hold the lock in order to fetch them.
        """
        consumers = self._consumers.copy().values()
        taken: int = sum(each.outstanding_message_count for each in consumers)
        return max(0, self._limits[queue_name] - taken)


class ShareConsumer(WaitingConsumer):
    """Fetches what there is a place for: in hand is all that is not acknowledged."""

    def __init__(
        self, broker: WaitingBroker, queue_name: str, timeout: int, *, share: Share
    ) -> None:
        # The base class fetches nothing by itself: its own limit is 0.
        super().__init__(broker, queue_name, 0, timeout)
        self._share = share
        share.join(queue_name, self)

    def room(self) -> int:
        """Return for how many messages more there is a place."""
        return self._share.room(self.queue_name)

    def has_room_again(self) -> None:
        """Tell all priorities of the provider: the place is for any of them."""
        self._share.tell_of_room()

    def fetch(self) -> list[bytes | None]:
        """Fetch messages, as many as there is a place for."""
        # Under the lock, or two queues would take the same places at once.
        with self._share.lock:
            if self.room():
                self.message_cache = super().fetch()
            else:
                self.may_have_more = True  # the other one has taken the place
        return self.message_cache


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
