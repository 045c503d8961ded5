"""Make, list and revoke keys: the operators' verbs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..domain.access import (
    DEFAULT_OWNER,
    ApiKey,
    Rate,
    digest_of,
    read_domains,
    read_scopes,
)
from ..domain.errors import KeyNotFoundError
from ..domain.ports import Clock
from ..domain.ports_access import KeyRing, Mint


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """What an operator asks for, as it was typed.

    Attributes:
        domains: The only ones to send from; none for all.
        rate: Requests a second; ``None`` for what the settings say.
        burst: Requests at once; ``None`` for twice the rate.
    """

    name: str
    scopes: Iterable[str]
    owner: str = DEFAULT_OWNER
    domains: Iterable[str] = ()
    is_test: bool = False
    rate: float | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey:
    """Make a key. Its secret is returned once, and kept nowhere."""

    ring: KeyRing
    clock: Clock
    mint: Mint

    def __call__(self, order: KeyOrder) -> tuple[ApiKey, str]:
        """Return the key and its secret once it is stored.

        Raises:
            InvalidValueError: Something of the order is not valid.
            StoreUnavailableError: It may be stored: list the keys, and revoke it.
            ClockUnsureError: The store's time is not known.
        """
        secret = self.mint.secret(is_test=order.is_test)
        key = ApiKey(
            key_id=self.mint.key_id(),
            owner=order.owner,
            name=order.name,
            digest=digest_of(secret),
            scopes=read_scopes(order.scopes),
            from_domains=read_domains(order.domains),
            is_test=order.is_test,
            rate=_rate(order),
            created_at=self.clock.now(),
        )
        self.ring.add(key)
        return key, secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeys:
    """Show all keys, revoked ones too."""

    ring: KeyRing

    def __call__(self) -> Sequence[ApiKey]:
        """Return them in the order in which they were made.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        return self.ring.all()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey:
    """Take a key out of use, for good."""

    ring: KeyRing
    clock: Clock

    def __call__(self, key_id: str) -> ApiKey:
        """Return the key as it is now; to revoke it again changes nothing.

        Raises:
            KeyNotFoundError: No key has this id.
            StoreUnavailableError: It may be revoked: list the keys.
            ClockUnsureError: The store's time is not known.
        """
        key = self.ring.revoke(key_id, now=self.clock.now())
        if key is None:
            raise KeyNotFoundError(f"there is no key {key_id!r}")
        return key


def _rate(order: KeyOrder) -> Rate | None:
    if order.rate is None:
        return None if order.burst is None else Rate.of(order.burst / 2, order.burst)
    return Rate.of(order.rate, order.burst)
