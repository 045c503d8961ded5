"""The bell: one connection of a process hears for all its queues that something came.

A consumer that finds its queue empty waits until it is rung for, and looks again. In
between it asks Redis slowly: that finds what nobody rang for, and whatever comes while
the bell is out of order. Why so: docs/adr/0048-a-bell.md.
"""

from __future__ import annotations

import time
from threading import Event, Lock, Thread
from typing import Protocol

import redis
import structlog
from redis.client import PubSub

log = structlog.get_logger()

#: How long the listener waits for news before it looks for new consumers, in seconds:
#: moments, as long as the last new one is no older than this, as at a start.
TURN_S = 1.0
SHORT_TURN_S = 0.02
SETTLED_AFTER_S = 2.0

#: How long it may be quiet before Redis is asked for a sign of life, and how long that
#: may take, in seconds. A connection that is cut without a word is found out so.
PING_AFTER_S = 5.0
PONG_WITHIN_S = 5.0

#: How long after a failure the listener tries again, in seconds.
AGAIN_S = 1.0


class Waiting(Protocol):
    """Who waits for a queue."""

    queue_name: str

    def ring(self) -> None:
        """Hear that something may have come."""
        ...


class Bell:
    """Wakes those who wait for a queue when something comes into it.

    Messages of Redis's pub/sub may be lost with a connection. So each one who waits is
    also rung for when the connection is made: nothing of before was missed then.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        """Make it; nothing is connected before somebody waits.

        Args:
            client: One of its connections is in use as long as anybody waits.
            namespace: The broker's.
        """
        self._client = client
        self._prefix = f"{namespace}:__bell__."
        self._lock = Lock()
        self._waiting: dict[str, Waiting] = {}
        self._thread: Thread | None = None
        self._is_out_of_order = False

    def hang(self, who: Waiting) -> None:
        """Let a consumer hear from now on, instead of an older one of its queue."""
        with self._lock:
            self._waiting[self._prefix + who.queue_name] = who
            if self._thread is None:
                self._thread = Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()

    def take_down(self, who: Waiting) -> None:
        """Let a consumer hear nothing any more. Without any, the listener ends."""
        with self._lock:
            channel = self._prefix + who.queue_name
            if self._waiting.get(channel) is who:
                del self._waiting[channel]

    def _run(self) -> None:
        pause = Event()
        while self._is_wanted():
            try:
                with self._client.pubsub() as ears:
                    self._listen(ears)
            except Exception as ex:  # noqa: BLE001 - as long as somebody waits, it goes on
                if self._is_wanted():
                    self._note_failure(ex)
                    pause.wait(AGAIN_S)

    def _listen(self, ears: PubSub) -> None:
        heard: set[str] = set()
        last_sign = settled_at = time.monotonic()
        is_asked = False
        while self._is_wanted():
            if news := set(self._waiting.copy()) - heard:
                ears.subscribe(*news)
                heard |= news
                settled_at = time.monotonic() + SETTLED_AFTER_S
            is_settled = time.monotonic() >= settled_at
            message = ears.get_message(timeout=TURN_S if is_settled else SHORT_TURN_S)
            quiet_s = time.monotonic() - last_sign
            if message is not None:
                last_sign, is_asked = time.monotonic(), False
                self._hear(message["type"], message["channel"])
            elif is_asked and quiet_s > PING_AFTER_S + PONG_WITHIN_S:
                raise redis.TimeoutError("no sign of life")
            elif not is_asked and quiet_s > PING_AFTER_S:
                ears.ping()
                is_asked = True

    def _hear(self, kind: str, channel: bytes | str | None) -> None:
        if kind == "subscribe" and self._is_out_of_order:
            self._is_out_of_order = False
            log.info("bell.mended")
        if kind not in ("subscribe", "message") or channel is None:
            return
        name = channel.decode() if isinstance(channel, bytes) else channel
        if who := self._waiting.get(name):
            who.ring()

    def _is_wanted(self) -> bool:
        """Return whether anybody waits; if not, the next one starts a new listener."""
        with self._lock:
            if not self._waiting:
                self._thread = None
            return bool(self._waiting)

    def _note_failure(self, ex: Exception) -> None:
        """Log it once: email is only slower meanwhile."""
        if not self._is_out_of_order:
            self._is_out_of_order = True
            log.warning("bell.out_of_order", error=type(ex).__name__)
