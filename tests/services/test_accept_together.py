"""Several at once, or one under a key: all of it, once, and told the same again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_books import MemoryLedger
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email, Priority, State
from postroom.domain.errors import (
    ClockUnsureError,
    KeyInUseError,
    KeyReusedError,
    NotStoredError,
    StorageUnsureError,
    UncarriableError,
    UncarriableItemsError,
)
from postroom.domain.idempotency import IdempotencyKey, Receipt, Route, Unfit
from postroom.services.accept_together import Accepted
from tests.builders import ALPHA, GAMMA, a_content, a_new_email, at
from tests.simulation import Simulation

UNFIT = Unfit(index=1, message="`to` is required", digest="d")

#: What no provider is there for.
PINNED = a_new_email(provider=GAMMA)


def a_key(value: str = "k", *, owner: str = "default") -> IdempotencyKey:
    return IdempotencyKey(owner=owner, route=Route.BATCH, value=value)


def some_new(count: int = 3, **given: Any) -> list[Any]:
    return [
        a_new_email(content=a_content(subject=f"no. {no}"), **given)
        for no in range(count)
    ]


def test_all_are_stored_and_offered_to_the_router_in_their_order(
    world: Simulation,
) -> None:
    accepted = world.accept_together(some_new(3))

    ids = accepted.receipt.email_ids
    assert [world.email(each).content.subject for each in ids] == [  # type: ignore[union-attr]
        "no. 0",
        "no. 1",
        "no. 2",
    ]
    assert [hinted.what.email_id for hinted in world.hints.hinted] == list(ids)  # type: ignore[union-attr]
    assert not accepted.is_replay


def test_each_goes_to_the_queue_of_its_priority(world: Simulation) -> None:
    priorities = [Priority.LOW, Priority.HIGH]

    world.accept_together([a_new_email(priority=each) for each in priorities])

    assert [h.queue for h in world.hints.hinted] == ["router.low", "router.high"]


def test_lost_hints_are_no_reason_to_refuse(world: Simulation) -> None:
    world.hints.away = True

    accepted = world.accept_together(some_new(2))

    assert all(world.email(each).due_at for each in accepted.receipt.email_ids)


@pytest.mark.parametrize(("wait_s", "hints"), [(60, 1), (61, 0)])
def test_only_a_short_wait_is_left_to_the_queue(
    world: Simulation, wait_s: int, hints: int
) -> None:
    accepted = world.accept_together([a_new_email(scheduled_at=at(wait_s))])

    assert [e.state for e in accepted.receipt.emails] == [State.SCHEDULED]
    assert [h.delay.total_seconds() for h in world.hints.hinted] == [wait_s] * hints


def test_every_email_is_counted_as_accepted(world: Simulation) -> None:
    ledger = MemoryLedger()
    together = replace(world.accept_together, ledger=ledger)

    together(some_new(3), key=a_key())
    together(some_new(3), key=a_key())

    assert ledger.counts.total() == 3


class TestUncarriable:
    def test_one_that_nobody_could_carry_refuses_all_when_strict(
        self, world: Simulation
    ) -> None:
        with pytest.raises(UncarriableItemsError) as caught:
            world.accept_together([*some_new(1), PINNED])

        assert caught.value.items.keys() == {1}
        assert caught.value.items[1][ALPHA] == "pinned_elsewhere"
        assert world.store.all() == []

    def test_it_is_told_by_its_index_when_permissive(self, world: Simulation) -> None:
        items = [PINNED, UNFIT, a_new_email()]

        receipt = world.accept_together(items, is_strict=False).receipt

        assert len(receipt.emails) == len(world.store.all()) == 1
        assert [(u.index, u.message[:30]) for u in receipt.unfit] == [
            (0, "no configured provider can car"),
            (1, "`to` is required"),
        ]

    def test_where_none_is_left_nothing_is_stored_nor_kept(
        self, world: Simulation
    ) -> None:
        receipt = world.accept_together(
            [PINNED, UNFIT], is_strict=False, key=a_key()
        ).receipt

        assert receipt.emails == ()
        assert len(receipt.unfit) == 2
        assert world.store.recall(a_key().name) is None

    def test_the_one_email_of_a_request_is_refused_as_ever(
        self, world: Simulation
    ) -> None:
        with pytest.raises(UncarriableError) as caught:
            world.accept_together.one(PINNED, key=a_key())

        assert caught.value.reasons[ALPHA] == "pinned_elsewhere"


class TestKeys:
    def test_a_repeated_request_is_told_the_same_and_stores_nothing(
        self, world: Simulation
    ) -> None:
        first = world.accept_together(some_new(2), key=a_key())
        world.hints.hinted.clear()

        again = world.accept_together(some_new(2), key=a_key())

        assert again == Accepted(receipt=first.receipt, is_replay=True)
        assert len(world.store.all()) == 2
        assert world.hints.hinted == []

    def test_another_request_under_the_key_is_refused(self, world: Simulation) -> None:
        world.accept_together(some_new(2), key=a_key())

        with pytest.raises(KeyReusedError):
            world.accept_together(some_new(3), key=a_key())
        with pytest.raises(KeyReusedError):
            world.accept_together(some_new(2), is_strict=False, key=a_key())

    def test_the_same_key_of_another_owner_is_another(self, world: Simulation) -> None:
        world.accept_together.one(a_new_email(), key=a_key())

        other = world.accept_together.one(a_new_email(), key=a_key(owner="tenant"))

        assert not other.is_replay

    def test_it_is_told_also_when_no_provider_is_left(self, world: Simulation) -> None:
        pinned = a_new_email(provider=ALPHA)
        first = world.accept_together.one(pinned, key=a_key())
        world.configure("beta")

        again = world.accept_together.one(pinned, key=a_key())

        assert again.receipt == first.receipt

    def test_who_is_overtaken_is_told_of_the_first(self) -> None:
        class Overtaken(MemoryStore):
            def recall(self, name: str) -> Receipt | None:
                return None

        world = Simulation(store=Overtaken())
        first = world.accept_together.one(a_new_email(), key=a_key())

        again = world.accept_together.one(a_new_email(), key=a_key())

        assert again == Accepted(receipt=first.receipt, is_replay=True)
        with pytest.raises(KeyReusedError):
            world.accept_together.one(a_new_email(provider=ALPHA), key=a_key())


@pytest.mark.parametrize(
    "error",
    [
        NotStoredError("no"),
        StorageUnsureError("hm", email_id="1"),
        KeyInUseError("wait"),
    ],
)
def test_what_may_not_be_stored_is_not_hinted_at(error: Exception) -> None:
    class Away(MemoryStore):
        def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
            raise error

    world = Simulation(store=Away())

    with pytest.raises(type(error)):
        world.accept_together(some_new())

    assert world.hints.hinted == []


def test_without_the_stores_time_nothing_is_stored() -> None:
    class Unsure(FakeClock):
        def now(self) -> Any:
            raise ClockUnsureError("not seen")

    world = Simulation()
    world.clock = Unsure()
    world.configure(ALPHA)

    with pytest.raises(NotStoredError):
        world.accept_together(some_new())

    assert world.store.all() == []
