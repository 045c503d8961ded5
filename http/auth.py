"""Who may call the API: whose key it is, what it is for, and how often."""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from typing import Any

import falcon

from ..domain.access import DEFAULT_OWNER, Access, Scope, digest_of
from ..domain.ports_access import Allowance
from ..services.authenticate import Authenticate
from ..services.throttle import Throttle
from .errors import ApiError

#: Whose emails they are where no key names an owner.
OWNER = DEFAULT_OWNER

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="postroom"'}

#: What may be done before anybody has shown a key.
_NOBODY = Access()

#: What a resource's methods need that does not say.
_CLOSED: Mapping[str, str] = {}


def digest(key: str) -> bytes:
    """Return what is kept of a key: its SHA-256."""
    return digest_of(key)


class Auth:
    """Middleware that lets in who has a key for it, at its pace.

    A resource says which scope each method needs: ``needs = {"GET": "read"}``. What
    it does not say needs ``admin``. One that says ``is_open = True`` is open to all;
    one that says ``for_monitors = True`` is opened by the monitors' key too.

    After it ``req.context.access`` is what the sender may do, and
    ``req.context.owner`` whose emails there are for it.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        throttle: Throttle,
        *,
        metrics_key: bytes | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._throttle = throttle
        self._metrics_key = metrics_key

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        _params: dict[str, Any],
    ) -> None:
        """Check the key, its scope and its rate, and note whose request it is.

        Raises:
            ApiError: 401, there is no key or another one; 403, it is not for this;
                429, it was used too often.
            StoreUnavailableError: Nobody could say whether the key is valid.
        """
        _admit(req, _NOBODY)
        # A browser asks before it may send the key.
        if getattr(resource, "is_open", False) or req.method == "OPTIONS":
            return
        secret = _secret(req)
        if getattr(resource, "for_monitors", False) and self._metrics_key is not None:
            if secret is not None and _is(secret, self._metrics_key):
                return
            access = self._access(secret, by_monitors=True)
        else:
            access = self._access(secret)
        _admit(req, access)
        self._hold_back(resp, access)
        _check_scope(req, resource, access)

    def _access(self, secret: str | None, *, by_monitors: bool = False) -> Access:
        access = self._authenticate(secret)
        # The monitors' key locks their page, also where nothing else is locked.
        if access is not None and not (by_monitors and access.key_id is None):
            return access
        if secret is None:
            raise ApiError(
                401,
                "missing_api_key",
                "an API key is needed: send Authorization: Bearer KEY",
                headers=_CHALLENGE,
            )
        raise ApiError(
            401, "invalid_api_key", "the API key is not valid", headers=_CHALLENGE
        )

    def _hold_back(self, resp: falcon.Response, access: Access) -> None:
        allowance = self._throttle(access)
        if allowance is None:
            return
        resp.set_headers(_told(allowance))
        if allowance.allowed:
            return
        retry_s = max(1, math.ceil(allowance.retry_s))
        raise ApiError(
            429,
            "rate_limit_exceeded",
            f"this API key was used too often: try again in {retry_s} s",
            headers={"Retry-After": str(retry_s)},
        )


def _admit(req: falcon.Request, access: Access) -> None:
    req.context.access = access
    req.context.owner = access.owner


def _secret(req: falcon.Request) -> str | None:
    scheme, _, secret = (req.auth or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def _is(secret: str, expected: bytes) -> bool:
    return hmac.compare_digest(digest_of(secret), expected)


def _told(allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(math.ceil(allowance.reset_s)),
    }


def _check_scope(req: falcon.Request, resource: object, access: Access) -> None:
    method = "GET" if req.method == "HEAD" else req.method
    needs: Mapping[str, str] = getattr(resource, "needs", _CLOSED)
    if method not in needs and not _answers(resource, method):
        return  # falcon says which methods there are
    scope = Scope(needs.get(method, Scope.ADMIN))
    if not access.may(scope):
        raise ApiError(
            403,
            "restricted_api_key",
            f"this API key is not for that: it needs the scope `{scope}`",
        )


def _answers(resource: object, method: str) -> bool:
    """Return whether a resource has a responder, under whatever suffix."""
    start = f"on_{method.lower()}"
    return any(name.startswith(start) for name in dir(resource))
