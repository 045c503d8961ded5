"""What a worker process does beside its messages: signs of life, and a faster sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import structlog
from dramatiq import Broker, Middleware, Worker

from ..domain.errors import PostroomError

log = structlog.get_logger()


class Pulse(Middleware):
    """Calls functions at a steady pace while the worker runs.

    Each has a thread of its own, so that no message can hold it up; one call follows
    another, so that slow ones do not pile up.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[timedelta, timedelta, Callable[[], Any]]] = []
        self._stopping = Event()

    def every(
        self,
        period: timedelta,
        call: Callable[[], Any],
        *,
        first: timedelta = timedelta(0),
    ) -> None:
        """Add a function, before the worker boots.

        Args:
            period: The pause between two calls.
            call: What to call.
            first: How long after the start the first call comes.
        """
        self._calls.append((first, period, call))

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Begin."""
        del worker
        # See QuietStart; a broker that knows of none has none.
        quiet_s = getattr(broker, "quiet_until", 0.0) - time.monotonic()
        for first, period, call in self._calls:
            wait_s = max(first.total_seconds(), quiet_s)
            thread = Thread(target=self._run, args=(wait_s, period, call), daemon=True)
            thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """End after the calls in hand."""
        del broker, worker
        self._stopping.set()

    def _run(self, first_s: float, period: timedelta, call: Callable[[], Any]) -> None:
        self._stopping.wait(first_s)
        while not self._stopping.is_set():
            try:
                call()
            except PostroomError as ex:
                log.warning("pulse.failed", error=type(ex).__name__, reason=str(ex))
            except Exception:
                # The boundary of this thread: it must outlive whatever happens.
                log.exception("pulse.failed")
            self._stopping.wait(period.total_seconds())
