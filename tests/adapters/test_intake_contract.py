"""One contract for what comes in together, two stores: MongoDB and its twin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database

from postroom.adapters.memory_retention import MemoryRetention
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_intake import MongoIntake
from postroom.adapters.mongo_retention import MongoRetention
from postroom.adapters.mongo_store import MongoStore
from postroom.domain.change import Change, Guard
from postroom.domain.email import Email, State
from postroom.domain.errors import KeyInUseError
from postroom.domain.idempotency import KEEP_KEY, LOOK_AGAIN, Receipt, Unfit
from postroom.domain.ports import EmailStore
from postroom.domain.ports_intake import Intake
from postroom.domain.ports_retention import Retention
from tests.adapters.breakers.parts import at_once
from tests.builders import NOW, a_content, an_email, seconds

THREADS = 8

Stores = tuple[Intake, EmailStore, Retention]


@pytest.fixture(params=["memory", "mongo"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        memory = MemoryRetention()
        return memory, memory, memory
    database: Database[dict[str, Any]] = request.getfixturevalue("mongo_database")
    store = MongoStore(database)
    store.ensure_indexes()
    return MongoIntake(database), store, MongoRetention(database)


@pytest.fixture
def intake(stores: Stores) -> Intake:
    return stores[0]


@pytest.fixture
def store(stores: Stores) -> EmailStore:
    return stores[1]


@pytest.fixture
def retention(stores: Stores) -> Retention:
    return stores[2]


def an_id(no: int) -> str:
    return f"{no:024x}"


def some_emails(*numbers: int, **given: Any) -> list[Email]:
    return [an_email(email_id=an_id(no), **given) for no in numbers]


def a_receipt(
    emails: list[Email], name: str = "key", *, unfit: tuple[Unfit, ...] = ()
) -> Receipt:
    return Receipt.of(emails, unfit, at=NOW, name=name, fingerprint=f"of {name}")


def put(intake: Intake, emails: list[Email], name: str = "key") -> Receipt:
    return intake.insert_together(emails, a_receipt(emails, name))


class TestInsertTogether:
    def test_all_emails_come_back_as_they_went_in(
        self, intake: Intake, store: EmailStore
    ) -> None:
        large = an_email(
            email_id=an_id(3), content=a_content(html="x" * (LARGEST_INLINE + 1))
        )
        emails = [*some_emails(1, 2), large]

        put(intake, emails)

        assert [store.load(email.email_id) for email in emails] == emails

    def test_the_receipt_is_kept_under_its_key(self, intake: Intake) -> None:
        emails = [*some_emails(1), *some_emails(2, state=State.SCHEDULED)]
        receipt = a_receipt(emails, unfit=(Unfit(index=1, message="`to` is odd"),))

        assert intake.insert_together(emails, receipt) == receipt

        assert intake.recall("key") == receipt
        assert intake.recall("another") is None

    def test_without_a_key_nothing_is_kept_but_the_emails(
        self, intake: Intake, store: EmailStore
    ) -> None:
        emails = some_emails(1, 2)

        put(intake, emails, name="")

        assert intake.recall("") is None
        assert store.load(an_id(2)) == emails[1]

    @pytest.mark.parametrize("name", ["", "key"])
    def test_a_repeated_insert_changes_nothing(
        self, intake: Intake, store: EmailStore, name: str
    ) -> None:
        emails = some_emails(1, 2)
        receipt = put(intake, emails, name)

        assert put(intake, emails, name) == receipt

        assert [store.load(email.email_id) for email in emails] == emails

    def test_who_comes_second_with_a_key_is_told_of_the_first(
        self, intake: Intake, store: EmailStore
    ) -> None:
        first = put(intake, some_emails(1))

        assert put(intake, some_emails(2, 3)) == first

        assert store.load(an_id(2)) is None
        assert store.load(an_id(3)) is None

    def test_of_many_at_once_with_one_key_one_is_stored(
        self, intake: Intake, store: EmailStore
    ) -> None:
        told: list[Receipt] = []

        def one(no: int) -> Callable[[], None]:
            def insert() -> None:
                with contextlib.suppress(KeyInUseError):  # told to come again
                    told.append(put(intake, some_emails(no, no + 100)))

            return insert

        at_once(*[one(no) for no in range(THREADS)])

        stored = {no for no in range(200) if store.load(an_id(no))}
        kept = intake.recall("key")
        assert kept is not None
        assert {int(each, 16) for each in kept.email_ids} == stored
        assert len(stored) == 2
        assert all(each.email_ids == kept.email_ids for each in told)

    def test_other_keys_are_not_in_the_way(
        self, intake: Intake, store: EmailStore
    ) -> None:
        at_once(
            *[
                lambda no=no: put(intake, some_emails(no), f"key {no}")
                for no in range(THREADS)
            ]
        )

        assert all(store.load(an_id(no)) for no in range(THREADS))

    def test_a_hundred_emails_of_fifteen_megabytes_come_in(
        self, intake: Intake, store: EmailStore
    ) -> None:
        content = a_content(text="x" * 150_000)
        emails = some_emails(*range(100), content=content)

        put(intake, emails)

        assert store.load(an_id(99)) == emails[99]


class TestRemoveKeys:
    def test_a_key_goes_when_it_is_old_and_its_emails_are_final(
        self, intake: Intake, retention: Retention
    ) -> None:
        put(intake, some_emails(1, 2, state=State.SENT))

        young = NOW + KEEP_KEY - seconds(1)
        assert retention.remove_keys(young, limit=10) == 0
        assert intake.recall("key") is not None
        assert retention.remove_keys(NOW + KEEP_KEY, limit=10) == 1
        assert intake.recall("key") is None

    def test_a_key_stays_while_one_email_is_open(
        self, intake: Intake, retention: Retention
    ) -> None:
        put(intake, [*some_emails(1, state=State.SENT), *some_emails(2)])

        for days in range(1, 100):
            at = NOW + timedelta(days=days)
            assert retention.remove_keys(at, limit=10) == 0

        assert intake.recall("key") is not None

    def test_one_that_stays_is_looked_at_again_later_and_holds_up_no_other(
        self, intake: Intake, store: EmailStore, retention: Retention
    ) -> None:
        emails = some_emails(1)
        put(intake, emails, "open")
        put(intake, some_emails(2, state=State.SENT), "closed")
        at = NOW + KEEP_KEY

        assert sum(retention.remove_keys(at, limit=1) for _ in range(3)) == 1
        assert intake.recall("open") is not None

        done = replace(an_email(State.CANCELLED, email_id=an_id(1)), fence=1)
        assert store.apply(_made(emails[0], done))
        assert retention.remove_keys(at + LOOK_AGAIN - seconds(1), limit=10) == 0
        assert retention.remove_keys(at + LOOK_AGAIN, limit=10) == 1

    def test_records_that_are_gone_keep_no_key(
        self, intake: Intake, store: EmailStore, retention: Retention
    ) -> None:
        at = NOW + timedelta(days=400)
        put(intake, some_emails(1, state=State.SENT, expires_at=NOW))
        assert retention.remove_expired(at, limit=10) == 1

        assert store.load(an_id(1)) is None
        assert retention.remove_keys(at, limit=10) == 1

    def test_keys_of_large_batches_go_together(
        self, intake: Intake, retention: Retention
    ) -> None:
        for batch in range(3):
            numbers = range(batch * 100, batch * 100 + 60)
            put(intake, some_emails(*numbers, state=State.SENT), f"batch {batch}")

        assert retention.remove_keys(NOW + KEEP_KEY, limit=10) == 3


def _made(before: Email, after: Email) -> Change:
    guard = Guard(fence=before.fence, states=frozenset({before.state}))
    return Change(guard=guard, before=before, after=after)
