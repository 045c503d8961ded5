"""Erasing on MongoDB: crashes, outages, and documents and processes of before."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from postroom.adapters import mongo_retention
from postroom.adapters.mongo_codec import to_document
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_retention import MongoRetention
from postroom.adapters.mongo_store import MongoStore, connect
from postroom.cli.errors import ServersMissingError
from postroom.domain.change import Change
from postroom.domain.email import State
from postroom.domain.errors import StoreUnavailableError
from postroom.domain.retention import erased, without_bodies
from tests.builders import ID, NOW, POLICY, a_content, an_email, at
from tests.servers import PATIENCE_S, Server, a_mongodb, skip_or_fail

LARGE = a_content(text="x" * (LARGEST_INLINE + 1))

#: What a release before retention did not write.
NEWER_FIELDS = ("dead_at", "final_at", "erased_at", "expires_at")


def an_erasure() -> Change:
    email = an_email(State.SENT, content=LARGE)
    return erased(email, now=NOW, keep_email=POLICY.keep_email)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server that obeys failpoints."""
    try:
        server = a_mongodb(tmp_path_factory.mktemp("retention"), test_commands=True)
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[MongoClient[dict[str, Any]]]:
    with connect(server.url) as client:
        yield client
        fail(client, "off")


@pytest.fixture
def database(client: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    return client[f"retention_{ObjectId()}"]


def fail(client: MongoClient[dict[str, Any]], mode: Any, *commands: str) -> None:
    client.admin.command(
        "configureFailPoint",
        "failCommand",
        mode=mode,
        data={"failCommands": list(commands), "errorCode": 13},
    )


def test_after_a_crash_between_its_two_writes_the_email_reads_as_erased(
    client: MongoClient[dict[str, Any]], database: Database[dict[str, Any]]
) -> None:
    store, retention = MongoStore(database), MongoRetention(database)
    change = an_erasure()
    store.insert(change.before)
    fail(client, "alwaysOn", "delete")

    with pytest.raises(StoreUnavailableError):
        retention.erase([change])
    fail(client, "off")

    assert store.load(ID) == change.after
    assert database["payloads"].count_documents({}) == 1
    assert retention.remove_orphans(NOW, limit=10) == 1
    assert database["payloads"].count_documents({}) == 0


def test_nothing_is_lost_when_the_first_of_its_writes_fails(
    client: MongoClient[dict[str, Any]], database: Database[dict[str, Any]]
) -> None:
    store, retention = MongoStore(database), MongoRetention(database)
    change = an_erasure()
    store.insert(change.before)
    fail(client, "alwaysOn", "update")

    with pytest.raises(StoreUnavailableError):
        retention.erase([change])
    fail(client, "off")

    assert store.load(ID) == change.before
    assert retention.remove_orphans(at(10**8), limit=10) == 0
    assert retention.erase([change])


def test_a_failure_comes_as_our_own_error(
    client: MongoClient[dict[str, Any]], database: Database[dict[str, Any]]
) -> None:
    retention = MongoRetention(database)
    fail(client, "alwaysOn", "find", "update", "delete")

    with pytest.raises(StoreUnavailableError, match="final_before"):
        retention.final_before(NOW, limit=1)
    with pytest.raises(StoreUnavailableError, match="erase"):
        retention.erase([an_erasure()])
    with pytest.raises(StoreUnavailableError, match="remove_expired"):
        retention.remove_expired(NOW, limit=1)
    with pytest.raises(StoreUnavailableError, match="remove_orphans"):
        retention.remove_orphans(NOW, limit=1)


def test_a_server_that_hangs_is_not_waited_for_for_ever(
    server: Server,
    database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mongo_retention, "OPERATION_S", 0.5)
    retention = MongoRetention(database)
    assert retention.final_before(NOW, limit=1) == []
    server.pause()

    try:
        with pytest.raises(StoreUnavailableError):
            retention.final_before(NOW, limit=1)
    finally:
        server.resume()


def test_what_stays_of_an_erased_email_is_its_record(
    mongo_database: Database[dict[str, Any]],
) -> None:
    """Its document has neither a body nor a place in the index of the final."""
    email = an_email(State.SENT, content=a_content(html="<p>Hi</p>"))
    MongoStore(mongo_database).insert(email)
    before = mongo_database["emails"].find_one()
    assert before is not None

    change = erased(email, now=NOW, keep_email=timedelta(days=400))
    assert MongoRetention(mongo_database).erase([change])

    after = mongo_database["emails"].find_one()
    assert after is not None
    assert set(before) - set(after) == {"text", "html", "attachments", "final_at"}
    assert set(after) - set(before) == {"erased_at", "expires_at"}


@pytest.mark.parametrize("state", State)
def test_a_document_of_before_retention_is_read_and_left_alone(
    mongo_database: Database[dict[str, Any]], state: State
) -> None:
    document = to_document(an_email(state))
    for name in NEWER_FIELDS:
        document.pop(name, None)
    assert document["v"] == 1
    mongo_database["emails"].insert_one(document)
    retention = MongoRetention(mongo_database)

    email = MongoStore(mongo_database).load(ID)

    assert email is not None
    assert (email.state, email.final_at, email.erased_at) == (state, None, None)
    assert retention.final_before(at(10**8), limit=10) == []
    assert retention.remove_expired(at(10**8), limit=10) == 0


def test_an_erased_document_is_read_without_its_payload(
    mongo_database: Database[dict[str, Any]],
) -> None:
    store = MongoStore(mongo_database)
    change = an_erasure()
    store.insert(change.before)

    assert MongoRetention(mongo_database).erase([change])

    email = store.load(ID)
    assert email is not None
    assert email.content == without_bodies(LARGE)


class TestInit:
    """`postroom init`: again, and beside a process that goes on writing."""

    @pytest.fixture
    def environ(self, mongo_database_uri: str, redis_url: str) -> dict[str, str]:
        return {"MONGODB_URI": mongo_database_uri, "REDIS_URL": redis_url}

    def test_it_may_run_twice(
        self, mongo_database: Database[dict[str, Any]], environ: dict[str, str]
    ) -> None:
        init(environ)
        once = _indexes(mongo_database)

        init(environ)

        assert _indexes(mongo_database) == once
        assert all(once["emails"][name]["sparse"] for name in ("final", "expires"))
        assert set(once["payloads"]) == {"_id_", "age"}

    def test_an_older_process_goes_on_writing_meanwhile(
        self, mongo_database: Database[dict[str, Any]], environ: dict[str, str]
    ) -> None:
        writer = OlderWriter(mongo_database)
        with writer:
            for _ in range(2):
                goal = writer.written + 20
                init(environ)
                writer.wait_for(goal)

        assert not writer.failed
        emails = mongo_database["emails"]
        assert emails.count_documents({}) == writer.written
        store = MongoStore(mongo_database)
        assert all(store.load(str(d["_id"])) for d in emails.find({}, {"_id": 1}))


def init(environ: dict[str, str]) -> None:
    """Run the command as a release does."""
    command = [sys.executable, "-m", "postroom.cli.main", "init"]
    subprocess.run(command, env=os.environ | environ, check=True, timeout=PATIENCE_S)


def _indexes(database: Database[dict[str, Any]]) -> dict[str, Any]:
    return {name: database[name].index_information() for name in ("emails", "payloads")}


class OlderWriter:
    """A process of before retention: it inserts and moves emails along."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._emails = database["emails"]
        self._more = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written = 0
        self.failed: list[Exception] = []

    def __enter__(self) -> "OlderWriter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.written >= count, timeout=60)

    def _run(self) -> None:
        while not self._ending.is_set():
            document = to_document(an_email(State.SENDING, email_id=str(ObjectId())))
            sent = {"$set": {"state": "sent"}, "$unset": {"due_at": ""}}
            try:
                self._emails.insert_one(document)
                self._emails.update_one({"_id": document["_id"]}, sent)
            except Exception as ex:  # noqa: BLE001  # whatever it is, the test fails
                self.failed.append(ex)
                return
            with self._more:
                self.written += 1
                self._more.notify_all()
