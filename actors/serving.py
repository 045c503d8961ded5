"""The signs of life of a worker: that it is there, and which queues it serves."""

from __future__ import annotations

from dramatiq import Broker, Middleware, Worker

from ..domain.ports import Heartbeats


class Serving(Middleware):
    """Knows which queues this process serves, so that one without anybody is missed."""

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats
        self._queues: tuple[str, ...] = ()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Take note of the queues: all that are declared, or those it is told."""
        declared = broker.get_declared_queues()
        told = worker.consumer_whitelist
        self._queues = tuple(declared if told is None else declared & set(told))

    def beat(self) -> None:
        """Leave the signs of life. Never raises."""
        self._heartbeats.beat("worker", *self._queues)
