"""Finish what is in hand, however often the stop is asked for."""

from __future__ import annotations

import signal
from types import FrameType

from dramatiq import Broker, Middleware


class GracefulStop(Middleware):
    """Takes every further stop signal for a repetition of the first.

    Hosts signal every process of a group, and Dramatiq's master passes each signal
    on as well; at a second one a Dramatiq worker drops its work, and emails in
    mid-call may then be sent twice. A stop is bounded without that, by
    ``--worker-shutdown-timeout``, and who cannot wait has SIGKILL.
    """

    def after_process_boot(self, broker: Broker) -> None:
        """Wrap the handlers that Dramatiq has just set in this worker process."""
        del broker
        once = _Once()
        for signum in (signal.SIGTERM, signal.SIGHUP):
            once.wrap(signum)


class _Once:
    """Lets one signal through, whichever comes first."""

    def __init__(self) -> None:
        self._is_stopping = False

    def wrap(self, signum: signal.Signals) -> None:
        handler = signal.getsignal(signum)
        if not callable(handler):
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if not self._is_stopping:
                self._is_stopping = True
                handler(number, frame)

        signal.signal(signum, handle)
