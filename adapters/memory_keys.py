"""The in-memory twin of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock

from ..domain.access import ApiKey


class MemoryKeyRing:
    """Implements ``KeyRing``; a use is written at once."""

    def __init__(self, *keys: ApiKey) -> None:
        self._keys = {key.key_id: key for key in keys}
        self._lock = Lock()

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        with self._lock:
            self._keys[key.key_id] = key

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key of a digest."""
        keys = self._keys.copy().values()
        return next((key for key in keys if key.is_of(digest)), None)

    def is_empty(self) -> bool:
        """Return whether there has never been a key."""
        return not self._keys

    def all(self) -> Sequence[ApiKey]:
        """Return all keys, in the order in which they were made."""
        keys = self._keys.copy().values()
        return sorted(keys, key=lambda key: (key.created_at, key.key_id))

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        """Revoke a key."""
        with self._lock:
            key = self._keys.get(key_id)
            if key is not None and key.revoked_at is None:
                key = self._keys[key_id] = replace(key, revoked_at=now)
            return key

    def used(self, key_id: str, *, at: datetime) -> None:
        """Note a use; one that comes late changes nothing."""
        with self._lock:
            key = self._keys.get(key_id)
            if key is not None:
                latest = max(at, key.last_used_at or at)
                self._keys[key_id] = replace(key, last_used_at=latest)

    def write(self) -> bool:
        """Return that all is written: it was at once."""
        return True
