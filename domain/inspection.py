"""The ports of the operators: what they may ask of the servers, and tell a breaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from .policy import Policy
from .ports import BreakerView

#: Bound on a look at MongoDB when somebody asks for it.
PATIENT = timedelta(seconds=5)

#: The same at the start of a process: nobody is served before.
HURRIED = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """MongoDB, as it answers now.

    Attributes:
        version: As in ``7.0.14``.
        writable: A write that changes nothing was confirmed by a majority.
        durable: Our writes wait for a majority and its journal, whatever the URI says.
        replica_set: Its name; ``None`` for a server on its own.
        transactions: One of two writes that change nothing was committed.
        missing_indexes: Those of ``postroom init`` that are not there.
        offset: How far this machine's date is ahead of the server's.
        usable_keys: Stored API keys that are not revoked.
        revoked_keys: Those that are.
    """

    version: str
    writable: bool
    durable: bool
    replica_set: str | None
    transactions: bool
    missing_indexes: tuple[str, ...]
    offset: timedelta
    usable_keys: int = 0
    revoked_keys: int = 0


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

    def store(self, *, patience: timedelta = PATIENT) -> StoreFacts | None:
        """Return how MongoDB is, or ``None``: it did not answer in time."""
        ...

    def redis(self) -> RedisFacts | None:
        """Return how Redis is, or ``None``: it did not answer in a few seconds."""
        ...


class SendQueues(Protocol):
    """The queues of the providers in Redis, of those that are gone too."""

    def backlog(self) -> Mapping[str, int] | None:
        """Return how many messages each queue holds that holds any.

        Delayed messages and those in hand are among them, dead ones are not.

        Returns:
            ``None`` if Redis is away.
        """
        ...

    def clear(self, provider: str) -> int | None:
        """Remove a provider's queues, and return how many messages they held.

        Returns:
            ``None`` if Redis is away.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """What a self-check looks at.

    Attributes:
        production: No fault is forgiven.
        providers: The names of those that are configured.
        warnings: What the settings warn of.
        has_setting_key: The settings have an API key, whatever is stored.
    """

    inspector: Inspector
    queues: SendQueues
    policy: Policy
    production: bool
    providers: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    has_setting_key: bool = False


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
