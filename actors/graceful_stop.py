"""Finish what is in hand, even when the whole process group is signalled."""

from __future__ import annotations

import signal
import time
from types import FrameType

from dramatiq import Broker, Middleware

#: Signals that come within this many seconds of the first count as the same stop.
#: Hosts signal every process, and Dramatiq's master passes the signal on as well;
#: at a second one a Dramatiq worker drops its work.
ONE_STOP_S = 2.0


class GracefulStop(Middleware):
    """Takes a repeated stop signal for the one that it repeats."""

    def after_process_boot(self, broker: Broker) -> None:
        """Wrap the handlers that Dramatiq has just set in this worker process."""
        del broker
        for signum in (signal.SIGTERM, signal.SIGHUP):
            _wrap(signum)


def _wrap(signum: signal.Signals) -> None:
    handler = signal.getsignal(signum)
    if not callable(handler):
        return
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if first and now - first[0] < ONE_STOP_S:
            return
        first.append(now)
        handler(number, frame)

    signal.signal(signum, handle)
