"""Old email goes in its time, open email never, and no backlog holds a run up."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_hints import MemoryHints
from postroom.adapters.memory_retention import MemoryRetention
from postroom.domain.change import Change
from postroom.domain.email import FINAL_STATES, Email, State
from postroom.domain.errors import ForbiddenTransitionError, StoreUnavailableError
from postroom.domain.idempotency import Receipt
from postroom.domain.policy import Policy
from postroom.services import retain
from postroom.services.redrive import Redrive
from postroom.services.retain import Retain, Retained
from tests.builders import (
    ID,
    NOW,
    POLICY,
    a_held_email,
    a_parked_email,
    an_email,
    at,
    seconds,
)

DAY = timedelta(days=1)


class World:
    """The twin of the store under one clock, and what erases in it."""

    def __init__(self, retention: MemoryRetention, policy: Policy = POLICY) -> None:
        self.store = retention
        self.clock = FakeClock(NOW)
        self.retain = Retain(retention=retention, clock=self.clock, policy=policy)

    def after(self, by: timedelta) -> Retained:
        self.clock.advance(by)
        return self.retain()


@pytest.fixture
def world() -> World:
    return World(MemoryRetention())


def an_id(no: int) -> str:
    return f"{no:024x}"


def open_emails() -> Iterator[Email]:
    states = [state for state in State if state not in FINAL_STATES]
    emails = [*map(an_email, states), a_held_email(), a_parked_email()]
    for no, email in enumerate(emails):
        yield replace(email, email_id=an_id(no))


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_email_loses_its_body_and_then_its_record(
    world: World, state: State
) -> None:
    world.store.insert(an_email(state, final_at=NOW))

    assert world.after(30 * DAY - seconds(1)) == Retained()
    assert world.after(seconds(1)) == Retained(erased=1)
    erased = world.store.load(ID)
    assert erased is not None
    assert erased.content is not None
    assert (erased.state, erased.content.text) == (state, None)
    assert world.after(370 * DAY - seconds(1)) == Retained()
    assert world.after(seconds(1)) == Retained(removed=1)
    assert world.store.load(ID) is None


def test_an_open_email_of_the_same_age_is_untouched_whatever_its_state(
    world: World,
) -> None:
    emails = list(open_emails())
    for email in emails:
        world.store.insert(email)

    for _ in range(10):
        assert world.after(400 * DAY) == Retained()

    assert [world.store.load(email.email_id) for email in emails] == emails


def test_both_times_may_come_at_once() -> None:
    policy = Policy(keep_body=timedelta(0), keep_email=DAY)
    world = World(MemoryRetention(), policy)
    world.store.insert(an_email(State.SENT, final_at=NOW))

    assert world.after(seconds(0)) == Retained(erased=1)
    assert world.after(DAY) == Retained(removed=1)


def test_a_changed_time_counts_for_what_is_erased_from_then_on(world: World) -> None:
    world.store.insert(an_email(State.SENT, email_id=an_id(1), final_at=NOW))
    world.store.insert(an_email(State.SENT, email_id=an_id(2), final_at=at(60)))
    world.after(30 * DAY)

    policy = replace(POLICY, keep_email=40 * DAY)
    world.retain = replace(world.retain, policy=policy)
    assert world.after(DAY) == Retained(erased=1)

    assert world.after(10 * DAY) == Retained(removed=1)
    assert world.store.load(an_id(1)) is not None


def test_an_erased_dead_letter_is_not_sent_again_and_it_says_why(world: World) -> None:
    world.store.insert(an_email(State.FAILED, final_at=NOW))
    redrive = Redrive(
        store=world.store, hints=MemoryHints(), clock=world.clock, policy=POLICY
    )
    world.after(30 * DAY)

    with pytest.raises(ForbiddenTransitionError, match="content was erased"):
        redrive(ID)


def test_a_redrive_in_time_keeps_everything(world: World) -> None:
    world.store.insert(an_email(State.FAILED, final_at=NOW))
    redrive = Redrive(
        store=world.store, hints=MemoryHints(), clock=world.clock, policy=POLICY
    )
    world.after(29 * DAY)
    waiting = redrive(ID)

    assert world.after(400 * DAY) == Retained()
    assert world.store.load(ID) == waiting


def test_a_payload_without_an_email_goes_after_a_day(world: World) -> None:
    world.store.payloads[ID] = NOW

    assert world.after(DAY) == Retained()
    assert world.after(seconds(1)) == Retained(orphans=1)


def test_old_keys_go_in_one_run_however_many_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retain, "KEYS", 10)
    for no in range(35):
        email = an_email(State.SENT, email_id=an_id(no), final_at=NOW)
        receipt = Receipt.of([email], (), at=NOW, name=f"key {no}")
        world.store.insert_together([email], receipt)

    assert world.after(DAY - seconds(1)) == Retained()
    assert world.after(seconds(1)) == Retained(keys=35)


def test_a_key_outlives_its_email_that_is_open(world: World) -> None:
    waiting = an_email()
    receipt = Receipt.of([waiting], (), at=NOW, name="key")
    world.store.insert_together([waiting], receipt)

    for _ in range(10):
        assert world.after(10 * DAY) == Retained()

    assert world.store.recall("key") == receipt


def test_a_backlog_of_many_slices_goes_in_one_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retain, "SLICE", 10)
    for no in range(35):
        world.store.insert(an_email(State.SENT, email_id=an_id(no), final_at=at(no)))

    assert world.after(30 * DAY + seconds(60)) == Retained(erased=35)
    assert world.after(370 * DAY) == Retained(removed=35)


class SlowRetention(MemoryRetention):
    """Half a run's time goes by at each slice."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: FakeClock | None = None

    def final_before(self, instant: datetime, *, limit: int) -> Sequence[Email]:
        assert self.clock is not None
        self.clock.advance(retain.LONGEST_RUN / 2)
        return super().final_before(instant, limit=limit)


def test_a_slow_store_is_given_room_between_two_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retain, "SLICE", 10)
    store = SlowRetention()
    world = World(store)
    store.clock = world.clock
    for no in range(35):
        store.insert(an_email(State.SENT, email_id=an_id(no), final_at=NOW))

    done = [world.after(31 * DAY)] + [world.after(seconds(0)) for _ in range(2)]

    assert [one.erased for one in done] == [20, 15, 0]


class RivalRetention(MemoryRetention):
    """Somebody else is always faster."""

    def erase(self, changes: Sequence[Change]) -> int:
        super().erase(changes)
        return 0


def test_beside_a_faster_one_a_run_ends() -> None:
    world = World(RivalRetention())
    world.store.insert(an_email(State.SENT, final_at=NOW))

    assert world.after(31 * DAY) == Retained()


class AwayRetention(MemoryRetention):
    away = True

    def remove_expired(self, now: datetime, *, limit: int) -> int:
        if self.away:
            raise StoreUnavailableError("away")
        return super().remove_expired(now, limit=limit)


def test_after_an_outage_the_next_run_goes_on() -> None:
    store = AwayRetention()
    world = World(store)
    store.insert(an_email(State.SENT, final_at=NOW))

    with pytest.raises(StoreUnavailableError):
        world.after(400 * DAY)
    store.away = False

    assert world.after(seconds(0)) == Retained(removed=1)
