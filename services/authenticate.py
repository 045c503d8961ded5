"""Find out whose request it is, without a trip to the store for each."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ..domain.access import Access, ApiKey, digest_of, has_shape
from ..domain.errors import ClockUnsureError, StoreUnavailableError
from ..domain.ports import Clock
from ..domain.ports_access import KeyRing

#: How long a process goes by what it knows of a key before it asks again, in seconds.
#: So long a revoked key may still open the door.
FRESH_S = 5.0

#: How long it goes on with a known key while the store is away, in seconds.
STALE_S = 600.0

#: How long nobody asks a store that has just not answered, in seconds.
AWAY_S = 1.0

#: How exactly the last use of a key is known.
USE_EVERY = timedelta(minutes=1)

#: The id of the key that stands in the settings.
SETTING_ID = "setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A key as this process saw it, and when it asked for it, in monotonic seconds."""

    key: ApiKey
    seen_s: float
    asked_s: float


@dataclass(slots=True, kw_only=True)
class Authenticate:
    """Say what the holder of a secret may do.

    Known keys work on while the store is away. Where no key is required, everything
    is open until there is one; a key that is revoked counts as one.

    Attributes:
        setting: SHA-256 of the key in the settings: any owner's, for everything.
        required: There must be a key, whether or not there is one.
    """

    ring: KeyRing
    clock: Clock
    setting: bytes | None = field(default=None, repr=False)
    required: bool = True
    _known: dict[bytes, Known] = field(default_factory=dict, repr=False)
    _used_s: dict[str, float] = field(default_factory=dict)
    _empty_s: float | None = None
    _has_keys: bool = False
    _away_until_s: float = 0.0

    def __call__(self, secret: str | None) -> Access | None:
        """Return what may be done with a secret, or ``None``: nothing.

        Args:
            secret: As it was sent; ``None`` if none was.

        Raises:
            StoreUnavailableError: The secret is not known here, and the store did
                not say.
        """
        access = None if secret is None else self._access(secret)
        return Access() if access is None and self._is_open() else access

    def _access(self, secret: str) -> Access | None:
        digest = digest_of(secret)
        if self.setting is not None and hmac.compare_digest(self.setting, digest):
            return Access(key_id=SETTING_ID)
        # Anything else is no key of ours: guesses cost no trip.
        key = self._key(digest) if has_shape(secret) else None
        if key is None or not key.is_of(digest) or key.revoked_at is not None:
            return None
        self._note_use(key)
        return key.access

    def _key(self, digest: bytes) -> ApiKey | None:
        known, now = self._known.get(digest), self.clock.monotonic()
        if known is None:
            return self._ask(digest)
        if now - known.asked_s <= FRESH_S:
            return known.key
        # The other threads go on with what is known while this one asks.
        self._known[digest] = replace(known, asked_s=now)
        try:
            return self._ask(digest)
        except StoreUnavailableError:
            if now - known.seen_s > STALE_S:
                raise
            return known.key

    def _ask(self, digest: bytes) -> ApiKey | None:
        self._refuse_while_away()
        try:
            key = self.ring.find(digest)
        except StoreUnavailableError:
            self._away_until_s = self.clock.monotonic() + AWAY_S
            raise
        if key is None:
            self._known.pop(digest, None)
            return None
        now = self.clock.monotonic()
        self._known[digest] = Known(key=key, seen_s=now, asked_s=now)
        return key

    def _is_open(self) -> bool:
        if self.required or self.setting is not None or self._has_keys:
            return False
        now = self.clock.monotonic()
        if self._empty_s is not None and now - self._empty_s <= FRESH_S:
            return True
        try:
            self._refuse_while_away()
            self._has_keys = not self.ring.is_empty()
        except StoreUnavailableError:
            self._away_until_s = max(self._away_until_s, now + AWAY_S)
            if self._empty_s is None:
                raise
            return True
        self._empty_s = now
        return not self._has_keys

    def _refuse_while_away(self) -> None:
        """Fail at once where the store has just failed somebody after a wait."""
        if self.clock.monotonic() < self._away_until_s:
            raise StoreUnavailableError("the store has just not answered")

    def _note_use(self, key: ApiKey) -> None:
        """Have the last use written down, once a minute at most."""
        now_s = self.clock.monotonic()
        noted_s = self._used_s.get(key.key_id)
        if noted_s is not None and now_s - noted_s < USE_EVERY.total_seconds():
            return
        try:
            now = self.clock.now()
        except ClockUnsureError:
            return
        if key.last_used_at is not None and now - key.last_used_at < USE_EVERY:
            return  # another process has
        self._used_s[key.key_id] = now_s
        self.ring.used(key.key_id, at=now)
