"""What keys and rates need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .access import ApiKey, Rate


class Mint(Protocol):
    """Makes what nobody can guess."""

    def key_id(self) -> str:
        """Return a new id of a key: ``key_`` and 16 hexadecimal digits."""
        ...

    def secret(self, *, is_test: bool) -> str:
        """Return a new secret: the prefix of its kind and 256 random bits."""
        ...


class KeyRing(Protocol):
    """All keys, revoked ones too: nothing is ever taken from it.

    Raises:
        StoreUnavailableError: From any method but ``used``: the store did not answer
            in its time. What was to be written may be written.
    """

    def add(self, key: ApiKey) -> None:
        """Store a new key, durable on a majority when it returns."""
        ...

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key of a secret by its digest, revoked or not."""
        ...

    def is_empty(self) -> bool:
        """Return whether there has never been a key."""
        ...

    def all(self) -> Sequence[ApiKey]:
        """Return all keys, in the order in which they were made."""
        ...

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        """Revoke a key, durable on a majority when it returns.

        Returns:
            The key, or ``None`` if none has this id. One that was revoked before
            keeps the time of it.
        """
        ...

    def used(self, key_id: str, *, at: datetime) -> None:
        """Note when a key was used. Never waits and never raises.

        It is written down later, by somebody else, and only ever moves on.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a limit says to one request.

    Attributes:
        allowed: Whether it may pass.
        limit: How many may come at once.
        remaining: How many of these are left.
        reset_s: Until all of them are back, in seconds.
        retry_s: Until one may pass again, in seconds; 0 if one may now.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_s: float


class RateLimit(Protocol):
    """Counts the requests of each key, over all processes."""

    def take(self, key_id: str, rate: Rate) -> Allowance:
        """Let a request pass, or not.

        Redis away: each process counts by itself. Never raises.
        """
        ...
