"""A router process whose own sweep is off: only what the scheduler sends is left."""

from __future__ import annotations

from postroom.actors import worker
from postroom.actors.pulse import Pulse


class Still(Pulse):
    """A pulse that never beats."""

    def every(self, *_: object, **__: object) -> None:
        """Add nothing."""


def router() -> None:
    worker.Pulse = Still  # type: ignore[misc]
    worker.router()
