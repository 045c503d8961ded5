"""Gathering: who comes while others are under way goes with all that wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from postroom.adapters import gathering
from postroom.adapters.gathering import MOST, Gathering

#: Bound on any wait, in seconds; only a fault reaches it.
PATIENCE_S = 20.0


class Gate:
    """Lets the first trip pass when it is opened, and notes who went together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun = threading.Event()
        self.open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[int]) -> None:
        with self._lock:
            self.groups.append(list(items))
            is_first = len(self.groups) == 1
        if is_first:
            self.begun.set()
            assert self.open.wait(PATIENCE_S)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody go by itself because a test is slow."""
    monkeypatch.setattr(gathering, "PATIENCE_S", PATIENCE_S)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(100) as pool:
        yield pool


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def behind_the_first(
    trips: Gathering[int], gate: Gate, pool: ThreadPoolExecutor, count: int
) -> list[Future[Exception | None]]:
    """Have one under way, and so many behind it."""
    futures = [pool.submit(trips.failure_of, 0)]
    assert gate.begun.wait(PATIENCE_S)
    futures += [pool.submit(trips.failure_of, n) for n in range(1, count + 1)]
    wait_until(lambda: len(trips._waiting) == count)
    return futures


def test_who_is_alone_goes_at_once_and_alone() -> None:
    gate = Gate()
    gate.open.set()
    trips = Gathering(gate)

    assert [trips.failure_of(n) for n in range(3)] == [None] * 3

    assert gate.groups == [[0], [1], [2]]


@pytest.mark.usefixtures("patient")
def test_who_comes_meanwhile_goes_together(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    trips = Gathering(gate)
    futures = behind_the_first(trips, gate, pool, 5)

    gate.open.set()

    assert [each.result(PATIENCE_S) for each in futures] == [None] * 6
    assert sorted(map(sorted, gate.groups)) == [[0], [1, 2, 3, 4, 5]]


@pytest.mark.usefixtures("patient")
def test_a_group_has_a_bound(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    trips = Gathering(gate)
    futures = behind_the_first(trips, gate, pool, MOST + 7)

    gate.open.set()

    assert [each.result(PATIENCE_S) for each in futures] == [None] * (MOST + 8)
    assert [len(group) for group in gate.groups] == [1, MOST, 7]


def test_one_that_hangs_holds_up_nobody(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    trips = Gathering(gate)
    first = pool.submit(trips.failure_of, 0)
    assert gate.begun.wait(PATIENCE_S)

    others = [pool.submit(trips.failure_of, n) for n in range(1, 9)]

    assert [each.result(PATIENCE_S) for each in others] == [None] * 8
    assert not first.done()
    gate.open.set()
    assert first.result(PATIENCE_S) is None


@pytest.mark.usefixtures("patient")
def test_a_failure_is_told_to_each_of_its_group_and_to_no_other(
    pool: ThreadPoolExecutor,
) -> None:
    gate = Gate()

    def fail_together(items: Sequence[int]) -> None:
        gate(items)
        if len(items) > 1:
            raise ValueError("no")

    trips = Gathering(fail_together)
    futures = behind_the_first(trips, gate, pool, 3)

    gate.open.set()

    first, *others = (each.result(PATIENCE_S) for each in futures)
    assert first is None
    assert [repr(each) for each in others] == ["ValueError('no')"] * 3
    assert trips.failure_of(9) is None


def test_a_failure_is_raised_where_that_is_asked_for() -> None:
    def fail(_: Sequence[int]) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Gathering(fail).do(1)


class Interrupted(BaseException):
    """What Dramatiq raises in its threads is no plain exception either."""


@pytest.mark.usefixtures("patient")
def test_of_an_interrupted_group_the_others_go_again(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    is_interrupted = False

    def interrupt_once(items: Sequence[int]) -> None:
        nonlocal is_interrupted
        gate(items)
        if len(items) > 1 and not is_interrupted:
            is_interrupted = True
            raise Interrupted

    trips = Gathering(interrupt_once)
    futures = behind_the_first(trips, gate, pool, 5)

    gate.open.set()

    ends = [each.exception(PATIENCE_S) for each in futures]
    assert [type(end) for end in ends if end] == [Interrupted]
    assert [each.result() for each in futures if not each.exception()] == [None] * 5
    assert [len(group) for group in gate.groups] == [1, 5, 4]
    assert trips.failure_of(9) is None


@pytest.mark.usefixtures("patient")
def test_who_is_interrupted_while_it_waits_is_waited_for_by_nobody(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    trips = Gathering(gate)
    first = pool.submit(trips.failure_of, 0)
    assert gate.begun.wait(PATIENCE_S)
    monkeypatch.setattr(gathering, "_Place", InterruptedPlace)

    gone = pool.submit(trips.failure_of, 1)

    assert isinstance(gone.exception(PATIENCE_S), Interrupted)
    assert trips._waiting == []
    monkeypatch.undo()
    gate.open.set()
    assert first.result(PATIENCE_S) is None
    assert trips.failure_of(2) is None
    assert gate.groups == [[0], [2]]


class InterruptedPlace(gathering._Place[int]):
    """A place of a thread that is interrupted as it begins to wait."""

    @property
    def called(self) -> threading.Lock:
        """Not to be waited for."""
        raise Interrupted

    @called.setter
    def called(self, _: threading.Lock) -> None:
        """Have none."""


def test_who_was_forgotten_goes_by_itself(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if whoever took it along had been interrupted between two steps."""
    monkeypatch.setattr(gathering, "PATIENCE_S", 0.5)
    monkeypatch.setattr(gathering, "LONGEST_S", 0.5)
    gate = Gate()
    trips = Gathering(gate)
    first, second = behind_the_first(trips, gate, pool, 1)

    with trips._lock:
        trips._waiting.clear()

    assert second.result(PATIENCE_S) is None
    assert gate.groups == [[0], [1]]
    gate.open.set()
    assert first.result(PATIENCE_S) is None


def test_each_is_done_once_however_many_there_are(pool: ThreadPoolExecutor) -> None:
    done: list[int] = []
    lock = threading.Lock()

    def note(items: Sequence[int]) -> None:
        time.sleep(0.0005 * (items[0] % 20))  # some longer than anybody's patience
        with lock:
            done.extend(items)

    trips = Gathering(note)

    assert set(pool.map(trips.failure_of, range(3000))) == {None}
    assert sorted(done) == list(range(3000))
    assert trips._waiting == []
    assert not trips._is_under_way
