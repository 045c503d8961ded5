"""The audit over the in-memory twins: what it sees of an email that is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_books import MemoryBooks, MemoryLedger
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.conservation import (
    HOUR,
    Condition,
    Contradiction,
    Group,
    Position,
)
from postroom.domain.email import Email, State
from postroom.domain.errors import InvalidValueError, SearchTimeoutError
from postroom.domain.policy import Policy
from postroom.services.audit import HOURS, Audit
from tests.builders import NOW, a_held_email, an_email, at, seconds

POLICY = Policy(keep_body=timedelta(days=1), keep_email=timedelta(days=2))


class SlowBooks(MemoryBooks):
    """Some searches take too long."""

    slow: frozenset[str] = frozenset()

    def _check(self, name: str) -> None:
        if name in self.slow:
            raise SearchTimeoutError(name)

    def accepted(self, since: datetime) -> Mapping[datetime, int]:
        self._check("accepted")
        return super().accepted(since)

    def stored(self, since: datetime) -> Mapping[datetime, int]:
        self._check("stored")
        return super().stored(since)

    def unsettled(self) -> Sequence[Group]:
        self._check("unsettled")
        return super().unsettled()

    def oldest_due(self, before: datetime) -> datetime | None:
        self._check("oldest_due")
        return super().oldest_due(before)


@dataclass
class World:
    store: MemoryStore = field(default_factory=MemoryStore)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    def __post_init__(self) -> None:
        self.books = SlowBooks(self.ledger, self.store)
        self.audit = Audit(books=self.books, clock=self.clock, policy=POLICY)

    def accepts(self, email: Email, *, no: int = 0, hours_ago: int = 0) -> str:
        made = NOW - hours_ago * HOUR
        email_id = f"{int(made.timestamp()):08x}{no:016x}"
        self.store.insert(replace(email, email_id=email_id))
        self.ledger.accepted(email_id)
        return email_id

    def gaps(self, position: Position) -> dict[datetime, int]:
        assert position.accounts is not None
        return {a.hour: a.gap for a in position.accounts if a.gap}


@pytest.fixture
def world() -> World:
    return World()


def test_while_nothing_is_lost_there_is_no_gap(world: World) -> None:
    emails = [an_email(), an_email(State.SENT), a_held_email(), an_email(State.SENDING)]
    for no, email in enumerate(emails):
        world.accepts(email, no=no, hours_ago=no)

    position = world.audit()

    assert position.accounts is not None
    assert (len(position.accounts), position.gap) == (HOURS, 0)
    assert [a.accepted for a in position.accounts[-4:]] == [1, 1, 1, 1]
    assert position.count(Condition.HELD) == 1
    assert position.count(Condition.OPEN) == 2


def test_a_removed_email_is_missing_from_its_hour(world: World) -> None:
    world.accepts(an_email(State.SENT), no=1, hours_ago=3)
    lost = world.accepts(an_email(State.SENT), no=2, hours_ago=3)
    del world.store._emails[lost]

    assert world.gaps(world.audit()) == {NOW - 3 * HOUR: 1}


def test_an_email_that_nothing_will_look_at_again_is_astray(world: World) -> None:
    email_id = world.accepts(an_email(State.QUEUED, due_at=None), hours_ago=1)

    position = world.audit()

    assert world.gaps(position) == {NOW - HOUR: 1}
    assert world.audit.contradictions(limit=5) == [
        (email_id, Contradiction.OPEN_WITHOUT_TIME)
    ]


def test_what_a_killed_process_had_not_counted_is_no_gap(world: World) -> None:
    world.store.insert(an_email(email_id=f"{int(NOW.timestamp()):08x}{1:016x}"))

    position = world.audit()

    assert position.accounts is not None
    assert (position.gap, position.accounts[-1].uncounted) == (0, 1)


def test_a_stuck_email_grows_older_however_often_it_is_offered(world: World) -> None:
    world.accepts(an_email(State.QUEUED, not_before=at(-100), due_at=at(-40)))
    assert world.audit().oldest_due == seconds(100)

    world.clock.advance(seconds(3600))
    stuck = replace(world.store.all()[0], due_at=world.clock.now() + seconds(900))
    world.store._emails[stuck.email_id] = replace(stuck, offers=9)

    assert world.audit().oldest_due == seconds(3700)


def test_while_nothing_is_due_the_oldest_is_nothing(world: World) -> None:
    assert world.audit().oldest_due == seconds(0)

    world.accepts(an_email(State.SENDING, due_at=at(30)))

    assert world.audit().oldest_due == seconds(0)


@pytest.mark.parametrize("hours", [0, -1, 49])
def test_hours_of_which_records_may_be_removed_are_refused(
    world: World, hours: int
) -> None:
    with pytest.raises(InvalidValueError, match="1 to 48"):
        world.audit(hours=hours)
    with pytest.raises(InvalidValueError, match="1 to 48"):
        world.audit.contradictions(hours=hours, limit=1)


def test_only_the_hours_that_are_asked_for_are_told(world: World) -> None:
    world.accepts(an_email(State.SENT), hours_ago=5)

    near, far = world.audit(hours=5), world.audit(hours=6)

    assert near.accounts is not None
    assert far.accounts is not None
    assert (len(near.accounts), sum(a.accepted for a in near.accounts)) == (5, 0)
    assert (len(far.accounts), sum(a.accepted for a in far.accounts)) == (6, 1)


@pytest.mark.parametrize("slow", ["accepted", "stored", "unsettled"])
def test_accounts_that_cannot_be_read_in_time_leave_the_rest(
    world: World, slow: str
) -> None:
    world.accepts(an_email(State.QUEUED, not_before=at(-100)))
    world.books.slow = frozenset({slow})

    position = world.audit()

    assert position.accounts is None
    assert position.oldest_due == seconds(100)
    assert (position.groups is None) is (slow == "unsettled")


def test_an_age_that_cannot_be_read_in_time_leaves_the_accounts(world: World) -> None:
    world.accepts(an_email())
    world.books.slow = frozenset({"oldest_due"})

    position = world.audit()

    assert (position.oldest_due, position.gap) == (None, 0)
