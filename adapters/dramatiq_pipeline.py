"""Dramatiq's Redis broker for whoever only enqueues: one message, or many in a trip."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis.client import Pipeline
from redis.commands.core import Script

from .bell import ring
from .turns import take_turns


class _Pipeable:
    """A script that goes into the pipeline of its thread, if there is one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._thread = threading.local()

    def __call__(self, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        pipeline: Pipeline | None = getattr(self._thread, "pipeline", None)
        return self._script(keys=keys, args=args, client=pipeline)

    def into(self, pipeline: Pipeline | None) -> None:
        """Run nothing any more but into a pipeline, or at once again."""
        self._thread.pipeline = pipeline


class EnqueueBroker(RedisBroker):
    """A broker without middleware and consumers."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client=client, middleware=[])  # type: ignore[no-untyped-call]
        ring(take_turns(self))
        self._dispatching = _Pipeable(self.scripts["dispatch"])
        self.scripts["dispatch"] = self._dispatching

    def enqueue_all(self, messages: Sequence[tuple[Message[None], int | None]]) -> None:
        """Enqueue messages, each with its delay in ms, in one pipeline.

        That is two trips for all of them: the client asks first whether Redis still
        knows the script.

        Raises:
            redis.RedisError: Redis did not take them all.
        """
        if not messages:
            return
        with self.client.pipeline(transaction=False) as pipeline:
            self._dispatching.into(pipeline)
            try:
                for message, delay in messages:
                    self.enqueue(message, delay=delay)
            finally:
                self._dispatching.into(None)
            pipeline.execute()
