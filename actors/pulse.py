"""What a worker process does beside its messages: signs of life, and a faster sweep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import structlog
from dramatiq import Broker, Middleware, Worker

from ..domain.errors import PostroomError

log = structlog.get_logger()


class Every(Middleware):
    """Calls a function at a steady pace while the worker runs.

    It has a thread of its own, so that no message can hold it up; one call follows
    another, so that slow ones do not pile up.
    """

    def __init__(self, period: timedelta, call: Callable[[], Any]) -> None:
        self._period = period
        self._call = call
        self._stopping = Event()

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Begin."""
        del broker, worker
        Thread(target=self._run, daemon=True, name="every").start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """End after the call in hand."""
        del broker, worker
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._call()
            except PostroomError as ex:
                log.warning("every.failed", error=type(ex).__name__, reason=str(ex))
            except Exception:
                # The boundary of this thread: it must outlive whatever happens.
                log.exception("every.failed")
            self._stopping.wait(self._period.total_seconds())
