"""Who may do what: keys, their scopes, and what a key makes of an email.

Of a key only the SHA-256 is kept. Keys are random and long, so that a slow hash would
only cost time: docs/adr/0040-keys.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .acceptance import NewEmail
from .address import ascii_domain
from .errors import InvalidAddressError, InvalidValueError, SenderForbiddenError

#: Whose emails they are where no key names an owner.
DEFAULT_OWNER = "default"

#: What a key begins with, so that a scanner of leaked secrets knows one.
LIVE_PREFIX = "pr_live_"
TEST_PREFIX = "pr_test_"

#: Random bytes of a key, and how many characters they are in base64 without padding.
SECRET_BYTES = 32
SECRET_CHARS = 43

#: The provider of everything that a test key sends. No account can have this name: in
#: the settings a name is of letters and digits.
TEST_PROVIDER = "test-sandbox"

#: Test email belongs to an owner of its own, that no key can name.
_TEST_OWNER = "test:"

_SECRET = re.compile(rf"pr_(?:live|test)_[A-Za-z0-9_-]{{{SECRET_CHARS}}}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

#: In characters.
LONGEST_NAME = 100

#: What a rate may be, in requests a second, and how many may come at once.
LOWEST_RATE, HIGHEST_RATE = 0.01, 100_000.0
LARGEST_BURST = 100_000


class Scope(StrEnum):
    """One kind of thing that a key may be for."""

    SEND = "send"
    READ = "read"
    #: All that the others allow, and the rest.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many requests a key may make.

    Attributes:
        per_s: In the long run, each second.
        burst: At once, after a pause.

    Raises:
        InvalidValueError: One of them is out of its range.
    """

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.per_s <= HIGHEST_RATE:
            raise InvalidValueError(
                f"rate must be {LOWEST_RATE:g} to {HIGHEST_RATE:g} a second, "
                f"got {self.per_s:g}"
            )
        if not 1 <= self.burst <= LARGEST_BURST:
            raise InvalidValueError(
                f"burst must be 1 to {LARGEST_BURST}, got {self.burst}"
            )

    @classmethod
    def of(cls, per_s: float, burst: int | None = None) -> Rate:
        """Return a rate; without a burst it is twice what a second allows.

        Examples:
            >>> Rate.of(10).burst
            20
        """
        twice = min(max(1, round(2 * per_s)), LARGEST_BURST)
        return cls(per_s=per_s, burst=twice if burst is None else burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the sender of a request may do.

    Attributes:
        owner: Whose emails it sees and makes; another's are not there.
        scopes: Of the key.
        from_domains: The only domains that it may send from; empty for all.
        is_test: What it sends goes to the sandbox and to no other provider.
        key_id: Which key it is; ``None`` while no key is asked for.
        rate: What its key says of it; ``None`` if that says nothing.
    """

    owner: str = DEFAULT_OWNER
    scopes: frozenset[Scope] = frozenset({Scope.ADMIN})
    from_domains: frozenset[str] = frozenset()
    is_test: bool = False
    key_id: str | None = None
    rate: Rate | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether a scope is among its own; ``admin`` includes all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def may_send_from(self, domain: str) -> bool:
        """Return whether it may send from a domain: one on its list, if it has one.

        A subdomain is another domain.
        """
        return not self.from_domains or domain.lower() in self.from_domains

    def admit(self, new: NewEmail) -> NewEmail:
        """Return an email as this key may send it: its owner's, and where it may go.

        Every email of a client comes through here before it is accepted.

        Raises:
            SenderForbiddenError: Its From is not on the key's list.
        """
        domain = new.content.sender.domain
        if not self.may_send_from(domain):
            raise SenderForbiddenError(domain, allowed=sorted(self.from_domains))
        pin = TEST_PROVIDER if self.is_test else new.provider
        return replace(new, owner=self.owner, provider=pin)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored: everything but the secret.

    Attributes:
        key_id: Names it in lists and logs, and opens nothing.
        owner: Whose emails it is for.
        name: The operator's words for it.
        digest: SHA-256 of the secret.
        from_domains: The only domains that it may send from; empty for all.
        is_test: Its secret begins with ``pr_test_``.
        rate: How many requests it may make; ``None`` for what the settings say.
        last_used_at: To the minute; ``None`` if it was never used.
        revoked_at: Since when it opens nothing any more.
    """

    key_id: str
    owner: str
    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    from_domains: frozenset[str] = frozenset()
    is_test: bool = False
    rate: Rate | None = None
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        if not _OWNER.fullmatch(self.owner):
            raise InvalidValueError(
                "owner must be 1 to 64 letters, digits, dots, hyphens or underscores, "
                f"got {self.owner!r}"
            )
        if not 1 <= len(self.name) <= LONGEST_NAME or not self.name.isprintable():
            raise InvalidValueError(f"name must be 1 to {LONGEST_NAME} characters")
        if not self.scopes:
            raise InvalidValueError("scopes must be at least one")
        if self.is_test and Scope.ADMIN in self.scopes:
            # It would reach the breakers of the real providers.
            raise InvalidValueError("a test key cannot have the scope admin")

    @property
    def access(self) -> Access:
        """What its holder may do. Test email is of an owner of its own.

        So a test key, which lies about in more places, shows and touches no real
        email, and an idempotency key that was tried with it is not spent.
        """
        return Access(
            owner=f"{_TEST_OWNER}{self.owner}" if self.is_test else self.owner,
            scopes=self.scopes,
            from_domains=self.from_domains,
            is_test=self.is_test,
            key_id=self.key_id,
            rate=self.rate,
        )

    def is_of(self, digest: bytes) -> bool:
        """Return whether a secret's digest is this key's, in constant time."""
        return hmac.compare_digest(self.digest, digest)


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def has_shape(secret: str) -> bool:
    """Return whether this could be a stored key: all others need no look-up.

    Examples:
        >>> has_shape("pr_live_" + "a" * 43), has_shape("hunter2")
        (True, False)
    """
    return _SECRET.fullmatch(secret) is not None


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these words.

    Raises:
        InvalidValueError: One of them is none.
    """
    known = set(Scope)
    given = [word.strip().lower() for word in words]
    if strange := [word for word in given if word not in known]:
        raise InvalidValueError(
            f"scopes must be of {', '.join(Scope)}, got {', '.join(strange)}"
        )
    return frozenset(map(Scope, given))


def read_domains(texts: Iterable[str]) -> frozenset[str]:
    """Return the domains of an allow-list as they stand in addresses.

    Raises:
        InvalidValueError: One of them is no domain.

    Examples:
        >>> sorted(read_domains(["Bücher.example"]))
        ['xn--bcher-kva.example']
    """
    domains = set()
    for text in texts:
        try:
            domains.add(ascii_domain(text.strip()))
        except InvalidAddressError as ex:
            raise InvalidValueError(f"from must be a domain, got {text!r}") from ex
    return frozenset(domains)
