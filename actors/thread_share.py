"""Tell the bulkhead how many threads there are to share."""

from __future__ import annotations

from collections.abc import Callable

from dramatiq import Broker, Middleware, Worker


class ThreadShare(Middleware):
    """Hands on the number of threads that this process was started with."""

    def __init__(self, share: Callable[[int], None]) -> None:
        self._share = share

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Tell it before the first message is taken."""
        del broker
        self._share(worker.worker_threads)
