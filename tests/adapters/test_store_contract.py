"""What every store promises: one suite over MongoDB and its in-memory twin."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pymongo.database import Database

from postroom.adapters.memory_store import MemoryStore
from postroom.adapters.mongo_codec import to_filter
from postroom.adapters.mongo_store import LARGEST_INLINE, MongoStore
from postroom.domain import lifecycle
from postroom.domain.change import Change, Guard
from postroom.domain.email import Email, State
from postroom.domain.ports import EmailStore
from tests.builders import (
    ALPHA,
    BETA,
    NOW,
    POLICY,
    a_content,
    a_parked_email,
    an_attempt,
    an_email,
    at,
    everything_set,
    seconds,
)

ACCEPTED_ATTEMPT = replace(an_attempt(), outcome="accepted")


def an_id(number: int) -> str:
    return f"{number:024x}"


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> EmailStore:
    if request.param == "memory":
        return MemoryStore()
    database: Database[dict[str, Any]] = request.getfixturevalue("mongo_database")
    store = MongoStore(database)
    store.ensure_indexes()
    return store


def claim(email: Email, attempt_id: str = "mine") -> Change:
    return lifecycle.claim(
        email, provider=ALPHA, attempt_id=attempt_id, now=NOW, policy=POLICY
    )


def test_an_email_comes_back_as_it_was_stored(store: EmailStore) -> None:
    email = everything_set()

    store.insert(email)

    assert store.load(email.email_id) == email


def test_large_bodies_come_back_whole(store: EmailStore) -> None:
    email = an_email(content=a_content(html="x" * (LARGEST_INLINE + 1)))

    store.insert(email)

    assert store.load(email.email_id) == email


@pytest.mark.parametrize("email_id", ["0" * 24, "no id", ""])
def test_an_id_that_is_not_there_is_none(store: EmailStore, email_id: str) -> None:
    assert store.load(email_id) is None


def test_a_repeated_insert_leaves_the_first(store: EmailStore) -> None:
    email = an_email()
    store.insert(email)
    store.apply(claim(email))

    store.insert(email)

    stored = store.load(email.email_id)
    assert stored is not None
    assert stored.state is State.SENDING


def test_a_change_is_written_whole_and_keeps_the_content(store: EmailStore) -> None:
    email = an_email()
    store.insert(email)
    (read,) = store.due(at(60), limit=10)
    change = claim(read)

    assert store.apply(change)

    assert store.load(email.email_id) == replace(change.after, content=email.content)


def test_a_second_change_from_the_same_read_is_refused(store: EmailStore) -> None:
    email = an_email()
    store.insert(email)

    assert store.apply(claim(email, "first"))
    assert not store.apply(claim(email, "second"))

    stored = store.load(email.email_id)
    assert stored is not None
    assert [attempt.id for attempt in stored.attempts] == ["first"]


def test_of_two_claims_at_once_one_wins(store: EmailStore) -> None:
    emails = [an_email(email_id=an_id(number)) for number in range(20)]
    for email in emails:
        store.insert(email)
    wins: list[tuple[str, str]] = []

    def race(name: str, barrier: threading.Barrier) -> None:
        for email in emails:
            barrier.wait(30)
            if store.apply(claim(email, name)):
                wins.append((email.email_id, name))

    run_twice(race)

    assert sorted(email_id for email_id, _ in wins) == [e.email_id for e in emails]
    for email_id, name in wins:
        stored = store.load(email_id)
        assert stored is not None
        assert [attempt.id for attempt in stored.attempts] == [name]


def test_of_two_inserts_at_once_one_email_remains(store: EmailStore) -> None:
    email = an_email()

    def race(_name: str, barrier: threading.Barrier) -> None:
        barrier.wait(30)
        store.insert(email)

    run_twice(race)

    assert len(store.due(at(60), limit=10)) == 1


def test_of_two_offers_at_once_one_is_written(store: EmailStore) -> None:
    email = an_email(due_at=at(-1))
    store.insert(email)
    offer = lifecycle.offered(email, now=NOW, policy=POLICY)
    written: list[bool] = []

    def race(_name: str, barrier: threading.Barrier) -> None:
        barrier.wait(30)
        written.append(store.apply(offer))

    run_twice(race)

    assert sorted(written) == [False, True]


def run_twice(race: Callable[[str, threading.Barrier], None]) -> None:
    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=race, args=(n, barrier)) for n in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_what_is_due_comes_earliest_first_and_without_content(
    store: EmailStore,
) -> None:
    for number, offset in enumerate([5, -5, 0, 99]):
        store.insert(an_email(email_id=an_id(number), due_at=at(offset)))
    store.insert(an_email(State.SENT, email_id=an_id(9)))

    due = store.due(at(5), limit=2)

    assert [email.email_id for email in due] == [an_id(1), an_id(2)]
    assert all(email.content is None for email in due)
    assert len(store.due(at(5), limit=10)) == 3


def test_what_is_parked_comes_oldest_first_by_provider(store: EmailStore) -> None:
    store.insert(a_parked_email(BETA, email_id=an_id(3)))
    store.insert(a_parked_email(ALPHA, BETA, email_id=an_id(2)))
    store.insert(a_parked_email(ALPHA, email_id=an_id(1)))
    store.insert(an_email(email_id=an_id(4)))

    parked = store.parked(BETA, limit=10)

    assert [email.email_id for email in parked] == [an_id(2), an_id(3)]


def test_a_released_email_is_parked_no_more(store: EmailStore) -> None:
    email = a_parked_email(ALPHA)
    store.insert(email)

    store.apply(lifecycle.queued(email, now=NOW, wait=seconds(0), policy=POLICY))

    assert store.parked(ALPHA, limit=10) == []


def test_a_store_that_is_there_is_writable(store: EmailStore) -> None:
    assert store.is_writable()


GUARDS = [
    Guard(
        fence=fence,
        states=states,
        not_before_by=not_before_by,
        due_at=due_at,
        no_acceptance=no_acceptance,
    )
    for fence, states, not_before_by, due_at, no_acceptance in itertools.product(
        (0, 1),
        (lifecycle.CLAIMABLE, frozenset({State.SENDING}), frozenset(State)),
        (None, NOW, at(-60)),
        (None, at(59)),
        (False, True),
    )
]


def test_guards_and_mongodbs_filters_agree_over_all_states(
    mongo_database: Database[dict[str, Any]],
) -> None:
    store = MongoStore(mongo_database)
    emails = [
        an_email(state, fence=fence, email_id=an_id(number))
        for number, (state, fence) in enumerate(itertools.product(State, (0, 1)))
    ]
    for email in emails:
        store.insert(email)

    for email, guard in itertools.product(emails, GUARDS):
        query = to_filter(email.email_id, guard)
        found = mongo_database["emails"].count_documents(query) == 1
        assert found is guard.admits(email), (email.state, guard)
