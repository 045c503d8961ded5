"""One contract for ledger and books: MongoDB's, and the in-memory twins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from pymongo.database import Database

from postroom.adapters.memory_books import MemoryBooks
from postroom.adapters.memory_retention import MemoryRetention
from postroom.adapters.mongo_books import CONTRADICTIONS, MongoBooks
from postroom.adapters.mongo_codec import to_document
from postroom.adapters.mongo_ledger import MongoLedger
from postroom.adapters.mongo_retention import MongoRetention
from postroom.adapters.mongo_store import MongoStore
from postroom.domain.conservation import (
    HOUR,
    Condition,
    Contradiction,
    Group,
    condition_of,
    contradiction_of,
    due_since,
    hour_of,
)
from postroom.domain.email import FINAL_STATES, Email, State
from postroom.domain.errors import SearchTimeoutError, StoreUnavailableError
from postroom.domain.interventions import MARKED_SENT
from postroom.domain.ports import EmailStore
from postroom.domain.ports_conservation import Books, Ledger, Uncounted
from postroom.domain.ports_retention import Retention
from tests.adapters.breakers.parts import at_once
from tests.builders import (
    ACCEPTED,
    NOW,
    TIMED_OUT,
    a_held_email,
    a_parked_email,
    an_attempt,
    an_email,
    at,
    everything_set,
)
from tests.servers import a_mongodb

THREADS = 4


@dataclass(frozen=True)
class Stand:
    """A store with its ledger and its books."""

    store: EmailStore
    ledger: Ledger
    books: Books
    retention: Retention
    written: Callable[[], object]

    def given(self, *emails: Email) -> None:
        for email in emails:
            self.store.insert(email)

    def accepts(self, *emails: Email) -> None:
        for email in emails:
            self.store.insert(email)
            self.ledger.accepted(email.email_id)
        self.written()


def a_memory_stand() -> Stand:
    store = MemoryRetention()
    books = MemoryBooks(store.ledger, store)
    return Stand(store, store.ledger, books, store, lambda: None)


def a_mongo_stand(database: Database[dict[str, Any]]) -> Stand:
    store = MongoStore(database)
    store.ensure_indexes()
    ledger = MongoLedger(database, writer="w1")
    books = MongoBooks(database, bound_s=30)
    return Stand(store, ledger, books, MongoRetention(database), ledger.write)


@pytest.fixture(params=["memory", "mongo"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        return a_memory_stand()
    return a_mongo_stand(request.getfixturevalue("mongo_database"))


def an_id(no: int, *, hour: datetime = NOW) -> str:
    return f"{int(hour.timestamp()):08x}{no:016x}"


def many(*emails: Email, first: int = 0) -> list[Email]:
    """Give each an id of this hour."""
    return [replace(e, email_id=an_id(first + no)) for no, e in enumerate(emails)]


def all_sorts() -> list[Email]:
    """Give emails in every state with and without each of the times that matter."""
    odd = [
        an_email(state, due_at=due_at, not_before=not_before, attempts=attempts)
        for state in State
        for due_at in (None, at(-5))
        for not_before in (None, at(-10))
        for attempts in ((), (an_attempt(TIMED_OUT),), (an_attempt(ACCEPTED),))
    ]
    ended = [replace(e, final_at=NOW) for e in odd if e.state in FINAL_STATES]
    erased = [replace(e, erased_at=NOW) for e in odd if e.state in FINAL_STATES]
    by_hand = [
        an_email(State.SENT, attempts=(), reason=MARKED_SENT),
        an_email(State.SENT, attempts=(), redrives=1),
        an_email(State.SENT, attempts=(), redrives=0),
    ]
    return many(*by_hand, *odd, *ended, *erased, a_held_email(), a_parked_email())


class TestLedger:
    def test_what_was_accepted_is_counted_by_the_hour(self, stand: Stand) -> None:
        for no in range(3):
            stand.ledger.accepted(an_id(no))
        stand.ledger.accepted(an_id(0, hour=NOW + HOUR))
        stand.written()

        assert stand.books.accepted(NOW) == {NOW: 3, NOW + HOUR: 1}
        assert stand.books.accepted(NOW + HOUR) == {NOW + HOUR: 1}

    def test_threads_lose_no_count(self, stand: Stand) -> None:
        def count() -> None:
            for no in range(500):
                stand.ledger.accepted(an_id(no))

        at_once(*[count] * THREADS)
        stand.written()

        assert stand.books.accepted(NOW) == {NOW: 500 * THREADS}

    def test_what_is_removed_on_purpose_leaves_the_ledger(self, stand: Stand) -> None:
        gone = an_email(State.SENT, email_id=an_id(1), erased_at=NOW, expires_at=at(-1))
        stand.accepts(gone, an_email(email_id=an_id(2, hour=NOW + HOUR)))

        assert stand.retention.remove_expired(NOW, limit=10) == 1

        assert stand.books.accepted(NOW) == {NOW + HOUR: 1}

    def test_one_that_nobody_reads_takes_everything(self) -> None:
        Uncounted().accepted(an_id(1))


class TestStored:
    def test_emails_are_counted_by_the_hour_of_their_ids(self, stand: Stand) -> None:
        stand.given(*many(an_email(), an_email(State.SENT), a_held_email()))
        stand.given(an_email(email_id=an_id(1, hour=NOW + HOUR)))
        stand.given(an_email(email_id=an_id(1, hour=NOW - HOUR)))

        assert stand.books.stored(NOW) == {NOW: 3, NOW + HOUR: 1}

    def test_an_empty_store_has_none(self, stand: Stand) -> None:
        assert stand.books.stored(NOW) == {}
        assert stand.books.unsettled() == []
        assert stand.books.oldest_due(NOW) is None


class TestUnsettled:
    def test_the_domain_says_where_each_email_is(self, stand: Stand) -> None:
        emails = all_sorts()
        stand.given(*emails)

        groups = stand.books.unsettled()

        expected: dict[tuple[str, Condition], int] = {}
        for email in emails:
            if (condition := condition_of(email)) is not Condition.FINAL:
                key = (email.state.value, condition)
                expected[key] = expected.get(key, 0) + 1
        assert {(g.state, g.condition): g.count for g in groups} == expected
        assert {group.hour for group in groups} == {NOW}

    def test_it_is_told_of_every_hour(self, stand: Stand) -> None:
        long_ago = NOW - 1000 * HOUR
        stand.given(replace(a_held_email(), email_id=an_id(1, hour=long_ago)))

        (group,) = stand.books.unsettled()

        assert group == Group(
            hour=long_ago, state="unknown", condition=Condition.HELD, count=1
        )


class TestOldestDue:
    def test_the_domain_says_since_when_each_is_due(self, stand: Stand) -> None:
        for no in range(100):
            later = an_email(State.SENDING, email_id=an_id(10_000 + no), due_at=at(no))
            stand.given(later)
        emails = [e for e in all_sorts() if e.due_at]
        stand.given(*emails)

        found = stand.books.oldest_due(NOW)

        assert found == min(since for e in emails if (since := due_since(e)))

    def test_one_that_was_offered_again_and_again_is_as_old_as_ever(
        self, stand: Stand
    ) -> None:
        stand.given(an_email(State.QUEUED, not_before=at(-7200), due_at=at(600)))

        assert stand.books.oldest_due(at(900)) == at(-7200)

    def test_what_is_due_later_need_not_be_found(self, stand: Stand) -> None:
        stand.given(
            an_email(State.SCHEDULED, not_before=at(5000), due_at=at(5000)),
        )

        assert stand.books.oldest_due(at(900)) is None


class TestContradictions:
    def test_the_domain_says_which_emails_contradict_themselves(
        self, stand: Stand
    ) -> None:
        emails = [*all_sorts(), replace(everything_set(), email_id=an_id(9999))]
        stand.given(*emails)

        found = dict(stand.books.contradictions(NOW, limit=1000))

        assert found == {
            email.email_id: contradiction
            for email in emails
            if (contradiction := contradiction_of(email))
        }
        assert set(found.values()) == set(Contradiction)

    def test_the_oldest_come_first_and_not_those_before(self, stand: Stand) -> None:
        astray = [an_email(State.QUEUED, due_at=None) for _ in range(3)]
        first, second, _ = many(*astray)
        before = replace(first, email_id=an_id(1, hour=NOW - HOUR))
        stand.given(before, *many(*astray))

        found = stand.books.contradictions(NOW, limit=2)

        assert [email_id for email_id, _ in found] == [
            first.email_id,
            second.email_id,
        ]


def test_every_contradiction_can_be_looked_for() -> None:
    assert set(CONTRADICTIONS) == set(Contradiction)


class TestMongo:
    def test_a_word_of_a_newer_release_is_open_while_it_has_a_time(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        stand = a_mongo_stand(mongo_database)
        document = to_document(an_email(email_id=an_id(1)))
        mongo_database["emails"].insert_one(document | {"state": "digesting"})

        (group,) = stand.books.unsettled()

        assert (group.state, group.condition) == ("digesting", Condition.OPEN)

    def test_email_enters_the_index_of_untimed_ones_only_while_it_is_held(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        a_mongo_stand(mongo_database)
        info = mongo_database["emails"].index_information()["untimed"]

        assert dict(info["partialFilterExpression"]) == {
            "due_at": None,
            "final_at": None,
            "erased_at": None,
        }

    def test_a_store_that_is_away_is_told_from_a_slow_one(
        self, away: Database[dict[str, Any]]
    ) -> None:
        books = MongoBooks(away, bound_s=0.5)

        with pytest.raises(StoreUnavailableError):
            books.accepted(NOW)

    def test_a_search_that_takes_too_long_says_so(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        stand = a_mongo_stand(mongo_database)
        documents = [to_document(e) for e in many(*[an_email()] * 5000)]
        mongo_database["emails"].insert_many(documents)
        books = stand.books
        assert isinstance(books, MongoBooks)

        with pytest.raises(SearchTimeoutError):
            books.bounded(0.005).stored(NOW)


@pytest.fixture
def away() -> Iterator[Database[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](
        "mongodb://127.0.0.1:1", serverSelectionTimeoutMS=200
    ) as client:
        yield client["postroom"]


class TestWriting:
    def test_a_write_that_is_repeated_counts_nothing_twice(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        """As one does of which nobody knows whether it was done."""
        stand = a_mongo_stand(mongo_database)
        ledger = MongoLedger(mongo_database, writer="unsure")
        ledger.accepted(an_id(1))
        ledger.accepted(an_id(2))

        for _ in range(3):
            ledger._written.clear()
            assert ledger.write()

        assert stand.books.accepted(NOW) == {NOW: 2}

    def test_processes_have_lines_of_their_own(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        stand = a_mongo_stand(mongo_database)
        ledgers = [MongoLedger(mongo_database, writer=f"p{no}") for no in range(3)]
        for ledger in ledgers:
            ledger.accepted(an_id(1))

        at_once(*[ledger.write for ledger in ledgers])

        assert stand.books.accepted(NOW) == {NOW: 3}

    def test_counts_are_written_by_themselves(
        self,
        mongo_database: Database[dict[str, Any]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("postroom.adapters.mongo_ledger.WRITE_EVERY_S", 0.01)
        stand = a_mongo_stand(mongo_database)
        ledger = MongoLedger(mongo_database, writer="own")

        ledger.accepted(an_id(1))

        assert ledger._thread is not None
        wait_until(lambda: stand.books.accepted(NOW) == {NOW: 1})
        ledger.close()
        ledger._thread.join(30)
        assert not ledger._thread.is_alive()

    def test_what_is_new_at_the_end_is_written_then(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        stand = a_mongo_stand(mongo_database)
        ledger = MongoLedger(mongo_database, writer="ending")
        ledger.accepted(an_id(1))

        ledger.close()

        assert stand.books.accepted(NOW) == {NOW: 1}
        assert ledger.write()  # nothing is left

    def test_nothing_is_written_while_nothing_is_new(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        ledger = MongoLedger(mongo_database, writer="idle")

        assert ledger.write()

        assert mongo_database["ledger"].count_documents({}) == 0

    def test_counts_outlive_an_outage(self, tmp_path: Path) -> None:
        with (
            a_mongodb(tmp_path) as server,
            pymongo.MongoClient[dict[str, Any]](
                server.url, tz_aware=True, serverSelectionTimeoutMS=3000
            ) as client,
        ):
            ledger = MongoLedger(client["postroom"], writer="patient")
            server.kill9()
            ledger.accepted(an_id(1))
            assert not ledger.write(bound_s=0.5)
            assert not ledger.write(bound_s=0.5)
            ledger.accepted(an_id(2))
            server.start()

            wait_until(lambda: ledger.write(bound_s=5))

            books = MongoBooks(client["postroom"], bound_s=30)
            assert books.accepted(NOW) == {NOW: 2}
            ledger.close()

    def test_hours_long_past_are_forgotten_once_they_are_written(
        self, mongo_database: Database[dict[str, Any]]
    ) -> None:
        stand = a_mongo_stand(mongo_database)
        ledger = MongoLedger(mongo_database, writer="old")
        for hour in range(5):
            ledger.accepted(an_id(1, hour=NOW + hour * HOUR))
            ledger.write()

        assert set(ledger._counts) == {NOW + hour * HOUR for hour in (2, 3, 4)}
        assert stand.books.accepted(NOW) == {NOW + h * HOUR: 1 for h in range(5)}
        ledger.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up, "in vain"
        time.sleep(0.01)


def test_an_id_is_read_as_the_driver_reads_it() -> None:
    made = ObjectId()

    whole = made.generation_time.replace(minute=0, second=0, microsecond=0)

    assert hour_of(str(made)) == whole
