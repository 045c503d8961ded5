"""The Redis clients of a process: short timeouts, no hidden retries, and TLS.

Redis is a hint here. Whatever waits for it must rather fail soon than hold up an
email, so each use has its own client with its own patience.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool, ConnectionPool, parse_url
from redis.retry import Retry

from .settings import Settings

#: The client's own default is 100, above which it raises; a thread uses one at a time.
UNBOUNDED = 100_000


def broker_client(settings: Settings) -> redis.Redis:
    """Return the client of Dramatiq's broker in a worker."""
    return _client(settings, timeout_s=5.0, connect_s=1.0)


def bell_client(settings: Settings) -> redis.Redis:
    """Return the client whose one connection hears that something came."""
    return _client(settings, timeout_s=5.0, connect_s=1.0)


def hints_client(settings: Settings, *, in_worker: bool = False) -> redis.Redis:
    """Return the client that enqueues: a POST must not wait for it, a worker may."""
    timeout_s = 2.0 if in_worker else 0.3
    return _client(settings, timeout_s=timeout_s, connect_s=timeout_s)


def breaker_client(settings: Settings, *, in_worker: bool = False) -> redis.Redis:
    """Return the client of breakers: a send waits for it once, elsewhere an operator.

    Nobody who asks how a provider is shall hear that Redis is away because it was slow.
    """
    timeout_s = 0.2 if in_worker else 1.0
    return _client(settings, timeout_s=timeout_s, connect_s=timeout_s)


def beats_client(settings: Settings) -> redis.Redis:
    """Return the client of heartbeats: each pass of a sweep waits for it once."""
    return _client(settings, timeout_s=0.2, connect_s=0.2)


def rates_client(settings: Settings) -> redis.Redis:
    """Return the client that counts requests: each of them waits for it once."""
    return _client(settings, timeout_s=0.2, connect_s=0.2)


def looks_client(settings: Settings) -> redis.Redis:
    """Return the client of the self-checks: a process waits for them to start."""
    return _client(settings, timeout_s=1.0, connect_s=1.0)


def _client(settings: Settings, *, timeout_s: float, connect_s: float) -> redis.Redis:
    # `from_url` would let the URL's own query override these.
    options: dict[str, Any] = {
        **parse_url(settings.redis_url.reveal()),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": connect_s,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "retry_on_error": [],
        "client_name": "postroom",
    }
    is_tls = settings.redis_url.reveal().startswith("rediss:")
    if is_tls and not settings.redis_tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    if settings.redis_max_connections is None:
        options |= {"max_connections": UNBOUNDED}
        options.pop("timeout", None)
        return redis.Redis.from_pool(ConnectionPool(**options))
    # Whoever finds all of them in use waits for one, for as long as for an answer.
    options |= {"max_connections": settings.redis_max_connections}
    options |= {"timeout": timeout_s}
    return redis.Redis.from_pool(BlockingConnectionPool(**options))
