"""Threads that wait for work hear of a stop at once, however long they would wait."""

from __future__ import annotations

from queue import Empty, PriorityQueue
from typing import Any

from dramatiq import Broker, Middleware, Worker

from .waiting import WaitingConsumer


class EndingQueue(PriorityQueue[Any]):
    """A queue that can say to all who wait for it that nothing comes any more."""

    has_ended = False

    def end(self) -> None:
        """Let nobody wait any longer; what is in it can still be had."""
        with self.mutex:
            self.has_ended = True
            self.not_empty.notify_all()

    def _qsize(self) -> int:
        # Whoever asks whether to wait is told that there is something.
        return len(self.queue) or int(self.has_ended)

    def _get(self) -> Any:
        if not self.queue:
            raise Empty
        return super()._get()


class SwiftStop(Middleware):
    """Makes a worker stop when it is told to, and not after its timeout.

    Dramatiq's threads look whether they shall stop after each wait. With a bell there
    is no other reason to wait for a short time only.
    """

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Give the worker a queue that can end."""
        del broker
        worker.work_queue = EndingQueue()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Stop the threads that would be stopped now anyhow, and wake them."""
        del broker
        for thread in worker.workers:
            thread.stop()
        for fetching in worker.consumers.values():
            if isinstance(fetching.consumer, WaitingConsumer):
                fetching.consumer.hurry()
        if isinstance(worker.work_queue, EndingQueue):
            worker.work_queue.end()
