"""Say whether mail can be accepted, and what would hold it up after that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ..domain.ports import EmailStore, Heartbeats

#: How old the last sign of life of each part may be. The sweep's floor is a minute.
OLDEST_BEAT: Mapping[str, timedelta] = {
    "worker": timedelta(seconds=60),
    "router": timedelta(seconds=60),
    "sweep": timedelta(seconds=150),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether to send mail here.

    Attributes:
        accepting: An email posted now would be stored.
        degraded: What would hold it up afterwards: ``redis``, ``worker``, ``router``,
            ``sweep``. None of it is a reason to turn mail away.
    """

    accepting: bool
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Look at the store and at the signs of life of the other processes."""

    store: EmailStore
    heartbeats: Heartbeats

    def __call__(self) -> Readiness:
        """Return what is ready. Never raises."""
        return Readiness(
            accepting=self.store.is_writable(),
            degraded=self._degraded(),
        )

    def _degraded(self) -> tuple[str, ...]:
        ages = self.heartbeats.ages()
        if ages is None:
            return ("redis",)
        return tuple(
            part
            for part, oldest in OLDEST_BEAT.items()
            if part not in ages or ages[part] > oldest
        )
