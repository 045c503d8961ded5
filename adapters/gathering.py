"""What several threads ask for at about the same time is done for all of them at once.

A driver's call costs this process more than what it carries, so a hundred threads that
each make one wait for each other's. Here whoever finds nobody under way goes at once
and alone; who comes meanwhile waits, and goes together with all others that wait, as
soon as the first is back. Why so: docs/adr/0050-together.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: Most that go together.
MOST = 32

#: How long somebody waits for those under way, in seconds, before going without them: a
#: connection that hangs must not hold up what others could do.
PATIENCE_S = 0.005

#: How long somebody waits who was taken along, in seconds: longer than any trip lasts.
#: Only where a thread was interrupted between two steps does it come to that.
LONGEST_S = 15.0


def _closed() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Place(Generic[Item]):
    """Somebody's place among those who wait.

    Attributes:
        is_over: Its trip was made, or has failed.
        failure: Why it has failed.
        called: Opened when the trip is over, or there is none under way.
    """

    item: Item
    is_over: bool = False
    failure: Exception | None = None
    called: Lock = field(default_factory=_closed)

    def call(self) -> None:
        """Wake it; twice is once."""
        with suppress(RuntimeError):
            self.called.release()


class Gathering(Generic[Item]):
    """Has things done together; safe to use from many threads.

    A thread may be interrupted anywhere, as Dramatiq does with its own. So nobody is
    relied upon to go: each who waits goes by itself if nobody takes it along. What an
    interrupted thread may have done, or not, is done once more.

    Args:
        do: Does all of them, or fails. It runs in the thread of one of them, and must
            bound its time itself. Done twice it must be the same as once.
    """

    def __init__(self, do: Callable[[Sequence[Item]], None]) -> None:
        self._do = do
        self._lock = Lock()
        self._is_under_way = False
        self._waiting: list[_Place[Item]] = []

    def do(self, item: Item) -> None:
        """Have it done.

        Raises:
            Exception: Why the whole of its group failed.
        """
        failure = self.failure_of(item)
        if failure is not None:
            raise failure

    def failure_of(self, item: Item) -> Exception | None:
        """Have it done; return why the whole of its group failed, if it did."""
        place = _Place(item)
        try:
            group = self._enter(place) or self._wait(place)
            if group:
                self._go(group)
            if not place.is_over:
                self._go([place])  # who took it along was interrupted
        except BaseException:
            with self._lock:
                self._leave(place)
            raise
        return place.failure

    def _enter(self, place: _Place[Item]) -> list[_Place[Item]]:
        """Return the place if it may go at once; else it waits from now on."""
        with self._lock:
            if self._is_under_way:
                self._waiting.append(place)
                return []
            self._is_under_way = True
            return [place]

    def _wait(self, place: _Place[Item]) -> list[_Place[Item]]:
        """Return with whom it goes; nobody if it was taken along."""
        patience_s = PATIENCE_S
        while not place.is_over:
            is_called = place.called.acquire(timeout=patience_s)
            with self._lock:
                if self._leave(place):
                    others = self._waiting[: MOST - 1]
                    del self._waiting[: MOST - 1]
                    return [place, *others]
            if not is_called and patience_s == LONGEST_S:
                break
            patience_s = LONGEST_S
        return []

    def _leave(self, place: _Place[Item]) -> bool:
        """Return whether it was among those who wait, as it is no longer."""
        with suppress(ValueError):
            self._waiting.remove(place)
            return True
        return False

    def _go(self, group: list[_Place[Item]]) -> None:
        """Do it for a group; the first of them is this thread's own."""
        try:
            self._do([place.item for place in group])
        except Exception as ex:  # noqa: BLE001 - for each of the group to judge
            self._end(group, ex)
        except BaseException:
            with self._lock:
                self._waiting[:0] = group[1:]  # one of them will go
            raise
        else:
            self._end(group, None)
        finally:
            for place in group:
                place.call()
            self._call_next()

    def _end(self, group: list[_Place[Item]], failure: Exception | None) -> None:
        for place in group:
            place.failure, place.is_over = failure, True

    def _call_next(self) -> None:
        with self._lock:
            self._is_under_way = bool(self._waiting)
            if self._waiting:
                self._waiting[0].call()
