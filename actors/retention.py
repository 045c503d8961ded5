"""What a router does of its own accord: it erases what is old, and says so."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ..services.retain import Retained

log = structlog.get_logger()


def retaining(retain: Callable[[], Retained]) -> Callable[[], None]:
    """Return the call for a pulse; it logs what was done, if anything was."""

    def run() -> None:
        done = retain()
        if done != Retained():
            log.info(
                "retention.done",
                erased=done.erased,
                removed=done.removed,
                orphans=done.orphans,
                keys=done.keys,
            )

    return run
