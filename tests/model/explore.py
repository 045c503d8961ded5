"""Walk through every world that can be reached, and say what is wrong with any."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tests.model.promises import wrong_with_end
from tests.model.steps import Steps
from tests.model.world import World

#: A bound on the worlds of one walk: only a model that grew by mistake reaches it.
MOST_WORLDS = 2_000_000

LOST = "lost: by itself it comes to no end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a walk found.

    Attributes:
        worlds: How many there are.
        wrong: Each promise that was broken, with the shortest way to it.
    """

    worlds: int
    wrong: dict[str, list[str]]


def explore(
    start: World, steps: Steps, *, until: Collection[str] = frozenset()
) -> Walk:
    """Visit every world, breadth first, so that the first way found is a shortest.

    Args:
        start: The first world.
        steps: What may happen.
        until: Promises; it is enough to find one of them broken.
    """
    seen = _Seen(start)
    onward: list[list[int]] = []
    wrong: dict[str, list[str]] = {}
    while len(onward) < len(seen.worlds) and wrong.keys().isdisjoint(until):
        number = len(onward)
        world = seen.worlds[number]
        by_itself: list[int] = []
        for label, then, is_own, broken in steps(world):
            for promise in broken:
                wrong.setdefault(promise, [*seen.way(number), label])
            reached = seen.number(then, after=number, label=label)
            if is_own:
                by_itself.append(reached)
        onward.append(by_itself)
        for promise in _wrong_at_rest(world, steps):
            wrong.setdefault(promise, seen.way(number))
    if len(onward) == len(seen.worlds):
        lost = _lost(seen.worlds, onward, steps)
        if lost is not None:
            wrong[LOST] = seen.way(lost)
    return Walk(worlds=len(onward), wrong=wrong)


class _Seen:
    """All worlds found so far, by number, and how each was first reached."""

    def __init__(self, start: World) -> None:
        self.worlds = [start]
        self._numbers = {start: 0}
        self._came = [(0, "")]

    def number(self, world: World, *, after: int, label: str) -> int:
        """Return the number of a world, which may be a new one."""
        known = self._numbers.get(world)
        if known is None:
            known = self._numbers[world] = len(self.worlds)
            assert known < MOST_WORLDS
            self.worlds.append(world)
            self._came.append((after, label))
        return known

    def way(self, number: int) -> list[str]:
        """Return the steps that first led to a world."""
        labels: list[str] = []
        while number:
            number, label = self._came[number]
            labels.append(label)
        return labels[::-1]


def _is_at_rest(world: World, steps: Steps) -> bool:
    """Whether it has come to an end that the promise allows."""
    if any(worker.hold for worker in world.workers):
        return False
    email = steps.machine.emails[world.email]
    return email.is_final or email.is_held


def _wrong_at_rest(world: World, steps: Steps) -> Iterator[str]:
    if _is_at_rest(world, steps):
        email = steps.machine.emails[world.email]
        yield from wrong_with_end(email, world.copies, heard=world.heard)


def _lost(worlds: list[World], onward: list[list[int]], steps: Steps) -> int | None:
    """Return a world from which what happens by itself may lead to no end.

    Not only must there be a way: all of them must end, whatever comes first.
    """
    back: list[list[int]] = [[] for _ in worlds]
    open_ways = [len(ways) for ways in onward]
    for number, ways in enumerate(onward):
        for then in ways:
            back[then].append(number)
    ended = [_is_at_rest(world, steps) for world in worlds]
    todo = deque(number for number, has_ended in enumerate(ended) if has_ended)
    while todo:
        for before in back[todo.popleft()]:
            open_ways[before] -= 1
            if not open_ways[before] and not ended[before]:
                ended[before] = True
                todo.append(before)
    lost = [number for number, has_ended in enumerate(ended) if not has_ended]
    return min(lost, key=lambda number: len(onward[number]), default=None)
