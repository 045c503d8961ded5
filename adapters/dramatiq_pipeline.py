"""Dramatiq's Redis broker for whoever only enqueues: one message, or many in a trip."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name
from redis.client import Pipeline
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from .bell import ring
from .turns import take_turns

#: A message, and after how many ms.
Waiting = tuple[Message[None], int | None]


class _Pipeable:
    """A script that goes into the pipeline of its thread, if there is one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._thread = threading.local()

    def __call__(self, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        pipeline: Pipeline | None = getattr(self._thread, "pipeline", None)
        if pipeline is None:
            return self._script(keys=keys, args=args)
        # Not by the script itself, which would ask Redis first whether it is known.
        return pipeline.evalsha(self._script.sha, len(keys), *keys, *args)

    def into(self, pipeline: Pipeline | None) -> None:
        """Run nothing any more but into a pipeline, or at once again."""
        self._thread.pipeline = pipeline

    def load(self, client: redis.Redis) -> None:
        """Make it known to a server that has not seen it, or was emptied."""
        self._script.sha = client.script_load(self._script.script)


class EnqueueBroker(RedisBroker):
    """A broker without middleware and consumers."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client=client, middleware=[])  # type: ignore[no-untyped-call]
        ring(take_turns(self))
        self._dispatching = _Pipeable(self.scripts["dispatch"])
        self.scripts["dispatch"] = self._dispatching

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

    def enqueue_all(self, messages: Sequence[Waiting]) -> None:
        """Enqueue messages, each with its delay in ms, in one pipeline.

        Raises:
            redis.RedisError: Redis did not take them all.
        """
        answers = self._pipelined(messages)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            self._dispatching.load(self.client)
            answers = self._pipelined(messages)
        for answer in answers:
            if isinstance(answer, redis.RedisError):
                raise answer

    def _pipelined(self, messages: Sequence[Waiting]) -> list[Any]:
        with self.client.pipeline(transaction=False) as pipeline:
            self._dispatching.into(pipeline)
            try:
                for message, delay in messages:
                    self.enqueue(message, delay=delay)
            finally:
                self._dispatching.into(None)
            return pipeline.execute(raise_on_error=False)
