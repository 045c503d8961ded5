"""The sweep and its clock: whatever is due is offered again."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import dramatiq
import structlog
from dramatiq import Actor, Broker
from dramatiq.middleware import CurrentMessage
from periodiq import cron

from ..domain.hint import SWEEP_ACTOR, SWEEP_QUEUE
from ..domain.ports import Heartbeats
from ..services.offer import Swept

log = structlog.get_logger()


def declare_sweep(
    broker: Broker,
    offer: Callable[[], Swept],
    heartbeats: Heartbeats,
) -> Actor[..., Any]:
    """Declare the sweep; periodiq sends it each minute.

    In a process one runs at a time: a long one must not have the threads of others
    that would only do the same.
    """
    running = Lock()

    @dramatiq.actor(
        broker=broker,
        actor_name=SWEEP_ACTOR,
        queue_name=SWEEP_QUEUE,
        max_retries=0,
        periodic=cron("* * * * *"),
    )
    def sweep() -> None:
        """Offer again whatever is due, and leave a sign of life."""
        if CurrentMessage.get_current_message() is not None:
            heartbeats.beat("scheduler")  # nobody else sends one
        if not running.acquire(blocking=False):
            return
        try:
            swept = offer()
        finally:
            running.release()
        heartbeats.beat("sweep")
        if swept != Swept():
            log.info(
                "sweep.done",
                offered=swept.offered,
                reconciled=swept.reconciled,
                expired=swept.expired,
            )

    return sweep
