"""The sweep and its clock: whatever is due is offered again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
import structlog
from dramatiq import Actor, Broker
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
    """Declare the sweep; periodiq sends it each minute."""

    @dramatiq.actor(
        broker=broker,
        actor_name=SWEEP_ACTOR,
        queue_name=SWEEP_QUEUE,
        max_retries=0,
        periodic=cron("* * * * *"),
    )
    def sweep() -> None:
        """Offer again whatever is due, and leave a sign of life."""
        swept = offer()
        heartbeats.beat("sweep")
        if swept != Swept():
            log.info(
                "sweep.done",
                offered=swept.offered,
                reconciled=swept.reconciled,
                expired=swept.expired,
            )

    return sweep
