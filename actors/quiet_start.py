"""Begin nothing before Dramatiq's master has been told that this worker is up."""

from __future__ import annotations

import time

from dramatiq import Broker, Middleware

#: How long a worker begins nothing, in seconds: many times what it takes to tell.
QUIET_S = 0.5


class QuietStart(Middleware):
    """Keeps a worker from dying of its first message in the wrong moment.

    Dramatiq's worker has begun to fetch when it tells its master that it is up, by a
    lock that both share. Killed while it holds that, as by a message that crashes it,
    it leaves the master waiting for ever: no supervisor sees anything end, and nothing
    is started again.
    """

    def after_process_boot(self, broker: Broker) -> None:
        """Let nothing be fetched for a moment."""
        broker.quiet_until = time.monotonic() + QUIET_S  # type: ignore[attr-defined]  # ours has it
