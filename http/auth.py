"""Who may call the API: the holder of the one bearer key, until keys come."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import falcon

from .errors import ApiError

#: Whose emails they are while there is one key.
OWNER = "default"

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="postroom"'}


def digest(key: str) -> bytes:
    """Return what is kept of a key: keys are random, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


class Auth:
    """Middleware that lets nobody in without the key.

    Every route is closed unless its resource says ``is_open = True``. One that says
    ``for_monitors = True`` is opened by the monitors' key too.
    """

    def __init__(
        self, api_key: bytes | None, *, metrics_key: bytes | None = None
    ) -> None:
        self._api_key = api_key
        self._metrics_key = metrics_key

    def process_resource(
        self,
        req: falcon.Request,
        _resp: falcon.Response,
        resource: object,
        _params: dict[str, Any],
    ) -> None:
        """Check the key and note whose request it is.

        Raises:
            ApiError: 401, there is no key or another one.
        """
        req.context.owner = OWNER
        keys = self._keys(resource)
        if not keys:
            return
        if req.method == "OPTIONS":
            return  # a browser asks before it may send the key
        scheme, _, key = (req.auth or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise ApiError(
                401,
                "missing_api_key",
                "an API key is needed: send Authorization: Bearer KEY",
                headers=_CHALLENGE,
            )
        given = digest(key.strip())
        if not any(hmac.compare_digest(given, each) for each in keys):
            raise ApiError(
                401,
                "invalid_api_key",
                "the API key is not valid",
                headers=_CHALLENGE,
            )

    def _keys(self, resource: object) -> list[bytes]:
        """Return the keys that open a resource; none is needed if there are none."""
        if getattr(resource, "is_open", False):
            return []
        keys = [self._api_key]
        if getattr(resource, "for_monitors", False):
            keys.append(self._metrics_key)
        return [key for key in keys if key is not None]
