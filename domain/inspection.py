"""The ports of the operators: what they may ask of the servers, and tell a breaker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from .ports import BreakerView


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """MongoDB, as it answers now.

    Attributes:
        version: As in ``7.0.14``.
        writable: A write that changes nothing was confirmed by a majority.
        replica_set: Its name; ``None`` for a server on its own.
        missing_indexes: Those of ``postroom init`` that are not there.
        offset: How far this machine's date is ahead of the server's.
    """

    version: str
    writable: bool
    replica_set: str | None
    missing_indexes: tuple[str, ...]
    offset: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """Redis, as it answers now.

    Attributes:
        version: As in ``7.2.4``.
        eviction_policy: ``maxmemory-policy``; ``None`` if it does not tell.
        append_only: Whether it keeps an append-only file; ``None`` if it does not tell.
        memory_used: Which part of ``maxmemory`` is in use; ``None`` without a bound.
        is_replica: It takes no writes of its own.
    """

    version: str
    eviction_policy: str | None
    append_only: bool | None
    memory_used: float | None
    is_replica: bool


class Inspector(Protocol):
    """Looks at the two servers. Nothing here raises."""

    def store(self) -> StoreFacts | None:
        """Return how MongoDB is, or ``None``: it did not answer in a few seconds."""
        ...

    def redis(self) -> RedisFacts | None:
        """Return how Redis is, or ``None``: it did not answer in a few seconds."""
        ...


class BreakerPanel(Protocol):
    """The breakers as operators have them: seen, and told what to do.

    An order returns whether all processes see it: not while Redis is away.
    """

    @property
    def is_shared(self) -> bool:
        """Whether the last answer was of the shared breakers, and not of our own."""
        ...

    def view(self, provider: str) -> BreakerView:
        """Return the present state, read now."""
        ...

    def trip(self, provider: str) -> bool:
        """Open a breaker; it is probed like any other."""
        ...

    def reset(self, provider: str) -> bool:
        """Close a breaker, and end a pause."""
        ...

    def drain(self, provider: str) -> bool:
        """Take a provider out of use until ``resume``."""
        ...

    def resume(self, provider: str) -> bool:
        """Take a drained or paused provider into use again."""
        ...
