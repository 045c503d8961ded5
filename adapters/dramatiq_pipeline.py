"""Dramatiq's Redis broker for whoever only enqueues: one message, or many in a trip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name

from .bell import ring
from .shared_script import share_trips
from .turns import take_turns


class EnqueueBroker(RedisBroker):
    """A broker without middleware and consumers."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client=client, middleware=[])  # type: ignore[no-untyped-call]
        self._sharing = share_trips(ring(take_turns(self)))

    def enqueue(
        self, message: Message[Any], *, delay: int | None = None
    ) -> Message[Any]:
        """Enqueue a message that was never enqueued before, as Dramatiq does.

        So its own id will do in Redis, and there is nobody to be told of it.

        Args:
            message: A new one.
            delay: In ms.

        Raises:
            redis.RedisError: Redis did not take it.
        """
        queue = message.queue_name
        options: dict[str, Any] = {"redis_message_id": message.message_id}
        if delay is not None:
            queue = dq_name(queue)
            options["eta"] = int(time.time() * 1000) + delay
        message = message.copy(queue_name=queue, options=options)
        self.do_enqueue(queue, message.message_id, message.encode())
        return message

    def enqueue_all(self, messages: Sequence[tuple[Message[None], int | None]]) -> None:
        """Enqueue messages, each with its delay in ms, in one trip.

        Raises:
            redis.RedisError: Redis did not take them all.
        """
        self._sharing.all_of(
            partial(self.enqueue, message, delay=delay) for message, delay in messages
        )
