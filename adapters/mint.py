"""New keys: ids for people, secrets for clients."""

from __future__ import annotations

import secrets

from ..domain.access import LIVE_PREFIX, SECRET_BYTES, TEST_PREFIX


class SystemMint:
    """Implements ``Mint`` with the system's randomness."""

    def key_id(self) -> str:
        """Return a new id; see ``Mint.key_id``."""
        return f"key_{secrets.token_hex(8)}"

    def secret(self, *, is_test: bool) -> str:
        """Return a new secret; see ``Mint.secret``."""
        prefix = TEST_PREFIX if is_test else LIVE_PREFIX
        return prefix + secrets.token_urlsafe(SECRET_BYTES)
