"""The providers' queues as Dramatiq keeps them in Redis, whoever still serves them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping

import redis
import structlog
from redis.exceptions import RedisError

from ..domain.email import Priority
from ..domain.hint import SEND_PREFIX, send_queue
from .turns import keys_of

log = structlog.get_logger(__name__)

#: What Dramatiq's keys begin with, as its broker has it unless told otherwise:
#: ``<queue>`` is a list of ids, ``<queue>.msgs`` a hash of messages until they are
#: acknowledged; ``.DQ`` are the delayed, ``.XQ`` the dead ones, and
#: ``__acks__.<worker>.<queue>`` the ids in hand.
NAMESPACE = "dramatiq"

#: Bound on a walk through the keys, in seconds: others may keep millions beside ours.
WALK_S = 5.0

#: Keys that Redis looks at for one answer.
STRIDE = 1_000


class RedisSendQueues:
    """Implements ``SendQueues``.

    Args:
        client: With a timeout of a few seconds.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def backlog(self) -> Mapping[str, int] | None:
        """Return how many messages each queue holds; see ``SendQueues.backlog``.

        A walk that takes too long ends with what it has found.
        """
        counts: Counter[str] = Counter()
        try:
            for key in set(self._keys(f"{SEND_PREFIX}*.msgs")):
                queue = key.removeprefix(f"{NAMESPACE}:").removesuffix(".msgs")
                if not queue.endswith(".XQ"):
                    counts[queue.removesuffix(".DQ")] += int(self._client.hlen(key))
        except (RedisError, OSError) as ex:
            log.warning("queues.away", error=type(ex).__name__)
            return None
        return +counts  # without those that were emptied in between

    def clear(self, provider: str) -> int | None:
        """Remove a provider's queues; see ``SendQueues.clear``."""
        queues = [send_queue(provider, priority) for priority in Priority]
        held = [
            f"{NAMESPACE}:{queue}{dq}.msgs" for queue in queues for dq in ("", ".DQ")
        ]
        try:
            count = sum(int(self._client.hlen(key)) for key in held)
            self._client.unlink(*self._all_keys(queues))
        except (RedisError, OSError) as ex:
            log.warning("queues.away", error=type(ex).__name__)
            return None
        return count

    def _all_keys(self, queues: list[str]) -> Iterator[str]:
        """Give all that belongs to queues, what dead workers had in hand too."""
        for queue in queues:
            for part in ("", ".DQ", ".XQ"):
                yield f"{NAMESPACE}:{queue}{part}"
                yield f"{NAMESPACE}:{queue}{part}.msgs"
            yield from keys_of(self._client, queue)
            for part in ("", ".DQ"):
                yield from self._keys(f"__acks__.*.{queue}{part}")

    def _keys(self, pattern: str) -> Iterator[str]:
        give_up = time.monotonic() + WALK_S
        found = self._client.scan_iter(f"{NAMESPACE}:{pattern}", count=STRIDE)
        for key in found:
            yield key.decode() if isinstance(key, bytes) else str(key)
            if time.monotonic() > give_up:
                return
