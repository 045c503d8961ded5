"""The store under many threads at once: each hears what became of its own."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from postroom.adapters import gathering
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_store import MongoStore, _Write
from postroom.domain.email import State
from postroom.domain.ports import EmailStore
from tests.adapters.stored import a_claim, an_id, inserted
from tests.builders import a_content, an_email

THREADS = 20

#: Three of one kind of trip, so that most of them are shared.
CROWD = 60


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody go by itself, however slow the machine is."""
    monkeypatch.setattr(gathering, "PATIENCE_S", 20.0)


def test_each_is_stored_and_found(store: EmailStore) -> None:
    text = "x" * (LARGEST_INLINE + 1)
    emails = [
        an_email(
            email_id=an_id(no), content=a_content(text=text if no % 7 == 0 else "short")
        )
        for no in range(CROWD)
    ]

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(store.insert, emails))
        ids = [*(each.email_id for each in emails), "f" * 24, "no id"]
        found = list(pool.map(store.load, ids))

    assert found == [*emails, None, None]


def test_of_many_claims_of_one_email_one_is_won(store: EmailStore) -> None:
    emails = [inserted(store, an_email(email_id=an_id(no))) for no in range(CROWD // 3)]
    claims = [a_claim(email, f"by-{n}") for n in range(3) for email in emails]

    with ThreadPoolExecutor(THREADS) as pool:
        won = list(pool.map(store.apply, claims))

    assert sum(won) == len(emails)
    for change, is_won in zip(claims, won, strict=True):
        email = store.load(change.email_id)
        assert email is not None
        assert email.state is State.SENDING
        assert len(email.attempts) == 1
        assert is_won == (email.attempts[0].id == change.after.attempts[0].id)


def test_what_is_wrong_with_one_is_no_harm_to_the_others(
    mongo_database: Database[dict[str, Any]],
) -> None:
    """A write that the store refuses spoils the whole group's answer."""
    store = MongoStore(mongo_database)
    emails = [inserted(store, an_email(email_id=an_id(no))) for no in range(CROWD)]
    too_large = {"$set": {"text": "x" * 17_000_000}}
    write_all = store._write_all

    def with_a_bad_one(writes: list[_Write]) -> None:
        if len(writes) > 1:
            writes = [*writes, _Write({"_id": writes[0].query["_id"]}, too_large)]
        write_all(writes)

    store._writes = gathering.Gathering(with_a_bad_one)  # type: ignore[arg-type]

    with ThreadPoolExecutor(THREADS) as pool:
        won = list(pool.map(store.apply, map(a_claim, emails)))

    assert won == [True] * CROWD


def test_they_do_share_their_trips(mongo_database: Database[dict[str, Any]]) -> None:
    trips: Counter[str] = Counter()

    class Trips(pymongo.monitoring.CommandListener):
        def started(self, event: pymongo.monitoring.CommandStartedEvent) -> None:
            trips[event.command_name] += 1

        def succeeded(self, _: object) -> None:
            """Not looked at."""

        failed = succeeded

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        host=[f"{host}:{port}" for host, port in mongo_database.client.nodes],
        event_listeners=[Trips()],
    )
    with client:
        store = MongoStore(client[mongo_database.name])
        emails = [an_email(email_id=an_id(no)) for no in range(CROWD)]
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(store.insert, emails))
            list(pool.map(store.apply, map(a_claim, emails)))
            list(pool.map(store.load, [each.email_id for each in emails]))

    for kind in ("insert", "update", "find"):
        assert trips[kind] < CROWD, trips
