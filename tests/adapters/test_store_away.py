"""A store that is away says so to every verb: MongoDB and its twin alike."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from bson import ObjectId

from postroom.adapters import mongo_inserts, mongo_store
from postroom.adapters.mongo_store import MongoStore, connect
from postroom.cli.errors import ServersMissingError
from postroom.domain.errors import (
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from postroom.domain.ports import EmailStore
from tests.adapters.stored import a_claim, an_id, an_offer, inserted, loaded
from tests.builders import ALPHA, NOW, an_email, at
from tests.faulty_store import FaultyStore
from tests.servers import a_mongodb, skip_or_fail

#: What is asked of it, but for `insert` and `is_writable`.
VERBS: dict[str, Callable[[EmailStore], object]] = {
    "load": lambda store: store.load(an_id(1)),
    "apply": lambda store: store.apply(a_claim(an_email(email_id=an_id(1)))),
    "apply_all": lambda store: store.apply_all(
        [an_offer(an_email(email_id=an_id(no), due_at=NOW)) for no in (1, 2)]
    ),
    "due": lambda store: store.due(NOW, limit=9),
    "hasten": lambda store: store.hasten(NOW, before=at(60)),
    "parked": lambda store: store.parked(ALPHA, limit=9),
}

#: What fails in MongoDB: all that reads and writes.
COMMANDS = ["find", "insert", "update", "bulkWrite", "getMore"]


@dataclass(frozen=True)
class Stand:
    """A store, and what takes it away while it lasts."""

    store: EmailStore
    away: Callable[[], AbstractContextManager[None]]


def a_memory_stand() -> Stand:
    store = FaultyStore()

    @contextmanager
    def away() -> Iterator[None]:
        store.away = True
        yield
        store.away = False

    return Stand(store, away)


@contextmanager
def a_mongo_stand(url: str) -> Iterator[Stand]:
    with connect(url) as client, connect(url) as control:
        database = client[f"away_{ObjectId()}"]
        store = MongoStore(database)
        store.ensure_indexes()

        def fail(mode: str) -> None:
            data = {"failCommands": COMMANDS, "closeConnection": True}
            control.admin.command(
                "configureFailPoint", "failCommand", mode=mode, data=data
            )

        @contextmanager
        def away() -> Iterator[None]:
            fail("alwaysOn")
            try:
                yield
            finally:
                fail("off")

        yield Stand(store, away)
        control.drop_database(database.name)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        server = a_mongodb(tmp_path_factory.mktemp("away"), test_commands=True)
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server.url


@pytest.fixture(params=["memory", "mongo"])
def stand(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stand]:
    if request.param == "memory":
        yield a_memory_stand()
        return
    monkeypatch.setattr(mongo_inserts, "INSERT_BUDGET_S", 1.0)
    for budget in ("OPERATION_S", "HASTEN_S"):
        monkeypatch.setattr(mongo_store, budget, 1.0)
    with a_mongo_stand(request.getfixturevalue("url")) as made:
        yield made


@pytest.mark.parametrize("verb", VERBS)
def test_it_says_so(stand: Stand, verb: str) -> None:
    inserted(stand.store, an_email(email_id=an_id(1), due_at=NOW))

    with stand.away(), pytest.raises(StoreUnavailableError):
        VERBS[verb](stand.store)


def test_an_email_is_not_stored_or_nobody_knows(stand: Stand) -> None:
    with stand.away(), pytest.raises((NotStoredError, StorageUnsureError)):
        stand.store.insert(an_email())


def test_several_changes_are_written_when_it_is_back(stand: Stand) -> None:
    ids = [an_id(no) for no in (1, 2)]
    emails = [inserted(stand.store, an_email(email_id=i, due_at=NOW)) for i in ids]
    changes = [an_offer(email) for email in emails]
    with stand.away(), pytest.raises(StoreUnavailableError):
        stand.store.apply_all(changes)

    assert list(stand.store.apply_all(changes)) == [True, True]

    assert [loaded(stand.store, i).offers for i in ids] == [1, 1]
