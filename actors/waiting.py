"""A consumer of Dramatiq's Redis broker that waits to be woken, instead of polling."""

from __future__ import annotations

import heapq
import math
import time
from threading import Event
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import compute_backoff, current_millis
from dramatiq.errors import ConnectionClosed

from .bell import Bell

#: The shortest pause between two fetches of a queue, in ms: what comes meanwhile is
#: fetched together. It doubles, up to the longest, while rings are in vain: others were
#: quicker, and not everybody needs to run for each message.
PAUSE_MS = 1
LONGEST_PAUSE_MS = 16

#: The longest wait of a consumer whose worker stops, in seconds.
HURRY_S = 0.02


class WaitingConsumer(_RedisConsumer):
    """Fetches when there may be something, and there is room for it.

    There may be something if it was rung for, if the last fetch found some, or if it
    has not looked for long. It forgets that it was rung for before it looks, and that
    it was woken before it asks itself whether to wait: what comes later counts again.
    """

    def __init__(
        self, broker: WaitingBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        """Hear the bell from now on.

        Args:
            broker: Whose bell.
            queue_name: Of the queue, or of its delay queue (``.DQ``).
            prefetch: How many messages may be in hand.
            timeout: How often it looks though nobody rings, in ms.
        """
        # The base class would sleep for that long.
        super().__init__(broker, queue_name, prefetch, 0)  # type: ignore[no-untyped-call]
        self.may_have_more = True
        self._poll_s = self._longest_wait_s = timeout / 1000
        self._wake = Event()
        self._looks_at = self._rests_until = 0.0
        self._vain = 0
        self._etas: list[float] = []
        broker.bell.hang(self)

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or ``None`` if there is none yet.

        Raises:
            ConnectionClosed: Redis cannot be reached.
        """
        if not self.message_cache and not self._look():
            return None
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        eta = message and message.options.get("eta")
        if isinstance(eta, int | float):
            heapq.heappush(self._etas, eta)
        return message

    def ring(self) -> None:
        """Hear that something may have come."""
        self.may_have_more = True
        self._wake.set()

    def tell_of_room(self) -> None:
        """Hear that there is room again."""
        if self.may_have_more:
            self._wake.set()

    def hurry(self) -> None:
        """Wait for short moments only: the worker stops."""
        self._longest_wait_s = HURRY_S
        self._wake.set()

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge a message."""
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self.has_room_again()

    def nack(self, message: MessageProxy) -> None:
        """Move a message to the dead ones."""
        try:
            super().nack(message)  # type: ignore[no-untyped-call]
        finally:
            self.has_room_again()

    def close(self) -> None:
        """Hear the bell no more."""
        self.broker.bell.take_down(self)
        super().close()

    def room(self) -> int:
        """Return for how many messages more there is room."""
        room: int = self.prefetch - self.outstanding_message_count
        return room

    def has_room_again(self) -> None:
        """Tell whoever may use it."""
        self.tell_of_room()

    def fetch(self) -> list[bytes | None]:
        """Fetch messages, as many as there is room for."""
        fetched: list[bytes | None] = self.broker.do_fetch(self.queue_name, self.room())
        return fetched

    def _look(self) -> bool:
        """Return whether messages were fetched; wait if there is no cause to fetch."""
        self._wake.clear()
        if not self._may_fetch():
            self._wake.wait(self._patience_s())
            return False
        self._rest()
        was_rung, self.may_have_more = self.may_have_more, False
        try:
            self.message_cache = self.fetch()
        except redis.ConnectionError as ex:
            raise ConnectionClosed(ex) from None
        self._note_look(in_vain=was_rung and not self.message_cache)
        return bool(self.message_cache)

    def _may_fetch(self) -> bool:
        is_time = self.may_have_more or time.monotonic() >= self._looks_at
        return is_time and self.room() > 0

    def _patience_s(self) -> float:
        """Return how long to wait: until it looks anyhow, or a delayed one is due."""
        has_room = self.room() > 0
        poll_s = self._looks_at - time.monotonic() if has_room else self._poll_s
        return max(0.0, min(poll_s, self._until_due_s(), self._longest_wait_s))

    def _until_due_s(self) -> float:
        """Return when the next delayed message is due; forget those that are.

        Whoever calls for the next message looks after them, each time.
        """
        now = current_millis()
        until_due_s = (self._etas[0] - now) / 1000 if self._etas else math.inf
        while self._etas and self._etas[0] <= now:
            heapq.heappop(self._etas)
        return until_due_s

    def _rest(self) -> None:
        until = max(self._rests_until, self.broker.quiet_until)
        time.sleep(max(0.0, until - time.monotonic()))

    def _note_look(self, *, in_vain: bool) -> None:
        if self.message_cache:
            self.may_have_more = True
        self._vain, rest_ms = compute_backoff(
            self._vain if in_vain else 0, factor=PAUSE_MS, max_backoff=LONGEST_PAUSE_MS
        )
        now = time.monotonic()
        self._looks_at, self._rests_until = now + self._poll_s, now + rest_ms / 1000


class WaitingBroker(RedisBroker):
    """A Redis broker whose idle consumers wait to be woken.

    Attributes:
        bell: Wakes them.
        quiet_until: Nothing is fetched earlier, by the monotonic clock in seconds.
    """

    quiet_until = 0.0

    def __init__(self, *, bell_client: redis.Redis | None = None, **more: Any) -> None:
        """Make it; nothing is connected before somebody consumes.

        Args:
            bell_client: Gives one connection, for as long as somebody consumes; without
                it the broker's own client does.
            more: As for Dramatiq's broker.
        """
        super().__init__(**more)  # type: ignore[no-untyped-call]
        self.bell = Bell(bell_client or self.client, self.namespace)

    @property
    def consumer_class(self) -> type[WaitingConsumer]:
        """What consumes a queue."""
        return WaitingConsumer
