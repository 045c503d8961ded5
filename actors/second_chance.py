"""A message that ends its worker has one more chance, and not one every 30 seconds."""

from __future__ import annotations

import time
from typing import Any

import redis
import structlog
from dramatiq import Broker, Middleware
from dramatiq.broker import MessageProxy
from dramatiq.middleware import SkipMessage

from .broker import HEARTBEAT_TIMEOUT_MS

log = structlog.get_logger()

#: How long it is remembered that a message had its second chance, in seconds: longer
#: than it takes until the messages of a dead worker are found again.
MEMORY_S = 3600


class SecondChance(Middleware):
    """Drops a message that was begun twice and never ended.

    What a dead worker had in hand goes back to its queue. An email that crashes each
    worker before it is claimed would do so again and again, with every message that
    was ever sent for it, and cost the emails beside it an unknown outcome each time.
    Without this message the sweep offers it still, less and less often.

    Only a message that is older than the time after which a worker counts as dead can
    come from one: others cost no trip to Redis.
    """

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Note that it is begun, unless it was noted before."""
        if not _may_come_again(message):
            return
        try:
            is_noted = _client(broker).set(_key(message), 1, nx=True, ex=MEMORY_S)
        except redis.RedisError:
            return
        if not is_noted:
            queue, email_id = message.queue_name, _email_id(message)
            log.error("message.dropped", queue=queue, email_id=email_id)
            raise SkipMessage("it has ended two workers")

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Forget it: it has ended, however."""
        del result, exception
        if not _may_come_again(message):
            return
        try:
            _client(broker).delete(_key(message))
        except redis.RedisError:
            return  # it is forgotten after a while anyway


def _may_come_again(message: MessageProxy) -> bool:
    since: int = message.options.get("requeue_timestamp", message.message_timestamp)
    return time.time() * 1000 - since >= HEARTBEAT_TIMEOUT_MS


def _email_id(message: MessageProxy) -> str | None:
    """Return which email it is about, if it is a hint."""
    hint = message.args[0] if message.args else None
    return hint.get("email_id") if isinstance(hint, dict) else None


def _key(message: MessageProxy) -> str:
    return f"postroom:begun:{message.options['redis_message_id']}"


def _client(broker: Broker) -> redis.Redis:
    client: redis.Redis = broker.client  # type: ignore[attr-defined]  # ours has one
    return client
