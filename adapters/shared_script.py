"""A script in Redis whose calls from several threads go in one trip (ADR 0050)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from dramatiq.brokers.redis import RedisBroker
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from .gathering import Gathering


@dataclass(slots=True, eq=False)
class _Call:
    """A call that somebody waits for, and what Redis said."""

    keys: Sequence[str]
    args: Sequence[Any]
    reply: Any = None

    @property
    def words(self) -> tuple[Any, ...]:
        """What follows the script's name in a command."""
        return (len(self.keys), *self.keys, *self.args)

    def result(self) -> Any:
        """Return what Redis said, or raise what it refused it with."""
        if isinstance(self.reply, redis.RedisError):
            raise self.reply
        return self.reply


class SharedScript:
    """Called like the client's own scripts, from as many threads as there are."""

    def __init__(self, client: redis.Redis, script: Script) -> None:
        self._client = client
        self._script = script
        self._together: Gathering[_Call] = Gathering(self._run)
        self._thread = threading.local()

    def __call__(self, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it, together with what other threads want at this moment.

        Raises:
            redis.RedisError: Redis did not answer, or refused it.
        """
        call = _Call(keys, args)
        collected: list[_Call] | None = getattr(self._thread, "collected", None)
        if collected is not None:
            collected.append(call)
            return None
        self._together.do(call)
        return call.result()

    def all_of(self, calls: Iterable[Callable[[], object]]) -> None:
        """Run, in one trip, every script that these functions call.

        To them it looks as if Redis had answered nothing.

        Raises:
            redis.RedisError: Redis did not answer, or refused one of them.
        """
        collected = self._thread.collected = []
        try:
            for call in calls:
                call()
        finally:
            self._thread.collected = None
        if collected:
            self._run(collected)
        for each in collected:
            each.result()

    def _run(self, calls: Sequence[_Call]) -> None:
        if len(calls) == 1:
            (call,) = calls
            call.reply = self._script(keys=call.keys, args=call.args)
            return
        self._pipeline(calls)
        unknown = [call for call in calls if isinstance(call.reply, NoScriptError)]
        if unknown:
            self._script.sha = self._client.script_load(self._script.script)
            self._pipeline(unknown)

    def _pipeline(self, calls: Sequence[_Call]) -> None:
        # Not by the script itself, which would ask Redis first whether it is known.
        with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.evalsha(self._script.sha, *call.words)
            replies = pipeline.execute(raise_on_error=False)
        for call, reply in zip(calls, replies, strict=True):
            call.reply = reply


def share_trips(broker: RedisBroker) -> SharedScript:
    """Let the threads that use a broker share their trips; return what runs them."""
    shared = SharedScript(broker.client, broker.scripts["dispatch"])
    broker.scripts["dispatch"] = shared
    return shared
