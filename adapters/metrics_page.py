"""The metrics of a process as text, in the form that Prometheus asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from ..domain.conservation import Position
from ..domain.routing import BreakerState
from .metrics import EventCounter
from .metrics_figures import Figures


class MetricsPage:
    """Everything that one process tells; it counts from when it is made.

    Attributes:
        counter: What listens to the log.
    """

    def __init__(
        self,
        audit: Callable[[], Position],
        breakers: Callable[[], Mapping[str, BreakerState]],
        *,
        folder: str | None = None,
    ) -> None:
        """Listen to the log.

        Args:
            audit: As for `Figures`.
            breakers: As for `Figures`.
            folder: Where all processes behind this port keep their counters; ``None``
                for a process that has a port of its own.
        """
        self._registry = CollectorRegistry()
        own = self._registry
        if folder is not None:
            MultiProcessCollector(self._registry, path=folder)
            own = CollectorRegistry()  # what it counts is read from the folder
        self.counter = EventCounter(own)
        self.counter.listen()
        self._registry.register(Figures(audit, breakers))

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its content type.

        Args:
            accept: The header of that name, or nothing.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
