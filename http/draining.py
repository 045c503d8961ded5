"""A gunicorn worker that takes its leave: 503 for a while, then the port closes.

gunicorn's own threaded worker stops accepting at SIGTERM but keeps the port open
until its last request is done: new connections hang in the backlog and are then
reset. This one goes on answering for `DRAIN_S`, so that clients and load balancers
learn of it, and then closes the port while requests in hand finish.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable, MutableMapping
from types import FrameType
from typing import Any

from .hearing import STALL_S, HearingWorker
from .middleware import STOPPING

#: How long new requests are answered with 503 before the port closes, in seconds.
DRAIN_S = 2.0

#: How long a leaving worker waits for a request that is not all there, in seconds; as
#: long as gunicorn keeps kept-alive connections then.
LINGER_S = 2.0

#: How often the master has reloaded (SIGHUP), in memory that all its workers share.
_reloads = mmap.mmap(-1, 1)


def note_reload(_arbiter: object) -> None:
    """Remember that the workers of now are about to be replaced (`on_reload`)."""
    _reloads[0] = (_reloads[0] + 1) % 256


class DrainingWorker(HearingWorker):
    """A threaded worker with an orderly end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._generation = _reloads[0]
        self._stop_at: float | None = None

    def load_wsgi(self) -> None:
        """Load the application and tell it with each request whether we stop."""
        super().load_wsgi()
        app = self.wsgi

        def told(
            environ: MutableMapping[str, Any],
            start_response: Callable[..., None],
        ) -> Iterable[bytes]:
            environ[STOPPING] = self._stop_at is not None
            environ["gunicorn.socket"].settimeout(STALL_S)
            return app(environ, start_response)

        self.wsgi = told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave at SIGTERM.

        The signal may come twice: to the whole group from outside, and from the
        master. A worker that is replaced in a reload leaves at once: its successors
        share the port and take what comes.
        """
        if self._generation != _reloads[0]:
            super().handle_exit(sig, frame)
        elif self._stop_at is None:
            # No timer: a thread must not be started in a signal handler, which may
            # have interrupted the start of another one and its lock.
            self._stop_at = time.monotonic() + DRAIN_S
            self.method_queue.defer(lambda: None)  # wakes the loop

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Serve for a moment, and stop when the time has come."""
        if not self.alive or self._stop_at is None:
            super().wait_for_and_dispatch_events(timeout)
            return
        left = max(self._stop_at - time.monotonic(), 0.0)
        super().wait_for_and_dispatch_events(left)
        if time.monotonic() >= self._stop_at:
            self.alive = False

    def set_accept_enabled(self, enabled: bool | None) -> None:  # noqa: FBT001 - gunicorn's
        """Close the port when accepting ends for good."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            listener.close()
        self.hurry(time.monotonic() + LINGER_S)
