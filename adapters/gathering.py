"""What several threads ask for at about the same time is done for all of them at once.

A driver's call costs this process more than what it carries, so a hundred threads that
each make one wait for each other's. Here whoever finds nobody under way goes at once
and alone; who comes meanwhile waits, and goes together with all others that wait, as
soon as the first is back. Why so: docs/adr/0050-together.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: Most that go together.
MOST = 32

#: How long somebody waits for those under way, in seconds, before going without them: a
#: connection that hangs must not hold up what others could do.
PATIENCE_S = 0.005


def _closed() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Place(Generic[Item]):
    """Somebody's place: in the queue, then in a group.

    Attributes:
        group: Those that it leads, itself the first of them.
        failure: Why it was not done, or nobody knows whether it was.
        called: Opened once, when it leads or is done.
    """

    item: Item
    group: list[_Place[Item]] | None = None
    failure: Exception | None = None
    called: Lock = field(default_factory=_closed)


class Gathering(Generic[Item]):
    """Has things done together; safe to use from many threads.

    Args:
        do: Does all of them, or fails. It runs in the thread of one of them, and must
            bound its time itself.
    """

    def __init__(self, do: Callable[[Sequence[Item]], None]) -> None:
        self._do = do
        self._lock = Lock()
        self._is_under_way = False
        self._waiting: list[_Place[Item]] = []

    def failure_of(self, item: Item) -> Exception | None:
        """Have it done; return why the whole of its group failed, if it did."""
        place = _Place(item)
        with self._lock:
            if self._is_under_way:
                self._waiting.append(place)
            else:
                self._is_under_way = True
                place.group = [place]
        if place.group is None:
            self._wait(place)
        if place.group is not None:
            self._lead(place.group)
        return place.failure

    def do(self, item: Item) -> None:
        """Have it done.

        Raises:
            Exception: Why the whole of its group failed.
        """
        failure = self.failure_of(item)
        if failure is not None:
            raise failure

    def _wait(self, place: _Place[Item]) -> None:
        """Wait until it is done, or has a group to lead."""
        if place.called.acquire(timeout=PATIENCE_S):
            return
        with self._lock:
            if place in self._waiting:
                place.group = self._next_group(first=place)
                return
        place.called.acquire()

    def _next_group(self, first: _Place[Item]) -> list[_Place[Item]]:
        self._waiting.remove(first)
        group = [first, *self._waiting[: MOST - 1]]
        del self._waiting[: MOST - 1]
        return group

    def _lead(self, group: list[_Place[Item]]) -> None:
        failure: Exception | None = RuntimeError("who did it was interrupted")
        try:
            self._do([place.item for place in group])
            failure = None
        except Exception as ex:  # noqa: BLE001 - for each of the group to judge
            failure = ex
        finally:
            self._let_next_go()
            for place in group:
                place.failure = failure
            for place in group[1:]:
                place.called.release()

    def _let_next_go(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_under_way = False
                return
            first = self._waiting[0]
            first.group = self._next_group(first)
        first.called.release()
