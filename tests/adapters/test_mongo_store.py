"""The store when its server fails: never a false success, never a false failure."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database

from postroom.adapters import mongo_inserts, mongo_keys, mongo_store, redis_clients
from postroom.adapters.gathering import Gathering
from postroom.adapters.mongo_codec import to_document
from postroom.adapters.mongo_store import MongoStore, connect, database_of, durable
from postroom.adapters.settings import Settings
from postroom.cli.errors import ServersMissingError
from postroom.domain import lifecycle
from postroom.domain.email import State
from postroom.domain.errors import (
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from tests.adapters.stored import an_id
from tests.builders import (
    ALPHA,
    ID,
    NOW,
    POLICY,
    a_content,
    an_attempt,
    an_email,
    seconds,
)
from tests.chaos.proxy import Mode, Order, Proxies
from tests.servers import Server, a_mongodb, skip_or_fail

#: Bound on anything here, in seconds: only a hang reaches it.
HANG_S = 30.0


def a_claim() -> Any:
    return lifecycle.claim(
        an_email(), provider=ALPHA, attempt_id="new", now=NOW, policy=POLICY
    )


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server that obeys failpoints and may be paused, but not killed."""
    try:
        server = a_mongodb(tmp_path_factory.mktemp("faults"), test_commands=True)
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server


@pytest.fixture
def faulty(shared_server: Server) -> Iterator["Faulty"]:
    server = Faulty(shared_server)
    yield server
    server.heal()
    server.close()


class Faulty:
    """A server and a store on it, and what makes them fail."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client: MongoClient[dict[str, Any]] = connect(server.url)
        self.database = self.client[f"faults_{ObjectId()}"]
        # One that never sees a failure, and so always finds the server.
        self._control: MongoClient[dict[str, Any]] = connect(server.url)
        self.store = MongoStore(self.database)
        self.store.ensure_indexes()

    def fail(self, mode: Any, commands: list[str], **data: Any) -> None:
        self._control.admin.command(
            "configureFailPoint",
            "failCommand",
            mode=mode,
            data={"failCommands": commands, **data},
        )

    def heal(self) -> None:
        self.server.resume()
        self._control.admin.command("configureFailPoint", "failCommand", mode="off")

    def close(self) -> None:
        # The database goes with its server: a fault may have left a transaction open,
        # and then the embedded store never comes to an end with dropping it.
        self._control.close()
        self.client.close()

    def is_stored(self, collection: str = "emails") -> bool:
        stored = self._control[self.database.name][collection]
        return stored.count_documents({}) == 1


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the budgets short, so that a test need not wait for them."""
    monkeypatch.setattr(mongo_inserts, "INSERT_BUDGET_S", 1.0)
    monkeypatch.setattr(mongo_store, "OPERATION_S", 1.0)


def test_the_shipped_budgets_of_a_post_are_within_5_s() -> None:
    settings = Settings.from_env({})
    waits_for_redis = sum(
        client.get_connection_kwargs()["socket_timeout"]
        for client in (
            redis_clients.rates_client(settings),
            redis_clients.hints_client(settings),
        )
    )

    whole = mongo_keys.FIND_S + mongo_inserts.INSERT_BUDGET_S + waits_for_redis
    assert whole <= 4.7 + 1e-9


class TestInsert:
    def test_a_lost_reply_is_found_out(self, faulty: Faulty) -> None:
        faulty.fail({"times": 3}, ["insert"], closeConnection=True)

        faulty.store.insert(an_email())

        assert faulty.store.load(ID) == an_email()

    def test_a_majority_that_did_not_answer_in_time_is_asked_again(
        self, faulty: Faulty
    ) -> None:
        error = {"code": 64, "errmsg": "waiting for replication timed out"}
        faulty.fail({"times": 1}, ["insert"], writeConcernError=error)

        faulty.store.insert(an_email())

        assert faulty.is_stored()

    @pytest.mark.usefixtures("brief")
    @pytest.mark.parametrize("code", [91, 189, 11600, 50])
    def test_a_server_that_stops_in_the_middle_says_nothing(
        self, faulty: Faulty, code: int
    ) -> None:
        faulty.fail("alwaysOn", ["insert"], errorCode=code)

        with pytest.raises(StorageUnsureError) as caught:
            faulty.store.insert(an_email())

        assert caught.value.email_id == ID

    @pytest.mark.usefixtures("brief")
    @pytest.mark.parametrize("code", [13, 121])
    def test_a_refusal_is_told_at_once_as_not_stored(
        self, faulty: Faulty, code: int
    ) -> None:
        faulty.fail("alwaysOn", ["insert"], errorCode=code)

        with pytest.raises(NotStoredError):
            faulty.store.insert(an_email())

        assert not faulty.is_stored()

    @pytest.mark.usefixtures("brief")
    def test_a_refusal_after_an_unclear_reply_is_no_answer(
        self, faulty: Faulty
    ) -> None:
        """The first try may be stored, whatever the second is told."""
        insert_all = faulty.store._inserts._insert_all

        def lose_the_reply(documents: Sequence[Any]) -> None:
            insert_all(documents)
            faulty.fail("alwaysOn", ["insert"], errorCode=13)
            raise pymongo.errors.AutoReconnect("reply lost")

        faulty.store._inserts._together = Gathering(lose_the_reply)

        with pytest.raises(StorageUnsureError):
            faulty.store.insert(an_email())

        faulty.heal()
        assert faulty.is_stored()

    def test_what_is_too_large_for_the_store_is_not_stored(
        self, faulty: Faulty
    ) -> None:
        too_large = a_content(text="x" * 17_000_000)

        with pytest.raises(NotStoredError):
            faulty.store.insert(an_email(content=too_large))

        assert not faulty.is_stored()

    @pytest.mark.usefixtures("brief")
    def test_a_server_that_hangs_leaves_it_unsure_within_the_budget(
        self, faulty: Faulty
    ) -> None:
        assert faulty.store.load(ID) is None  # connected
        faulty.server.pause()
        begun = time.monotonic()

        with pytest.raises((StorageUnsureError, NotStoredError)):
            faulty.store.insert(an_email())

        assert time.monotonic() - begun < HANG_S

    @pytest.mark.usefixtures("brief")
    def test_without_a_server_it_is_known_not_to_be_stored(self) -> None:
        begun = time.monotonic()

        with connect("mongodb://127.0.0.1:9/none") as client:
            store = MongoStore(database_of(client))
            with pytest.raises(NotStoredError, match="cannot be reached"):
                store.insert(an_email())

        assert time.monotonic() - begun < mongo_inserts.INSERT_BUDGET_S + 5

    def test_what_many_have_in_hand_is_stored_whatever_becomes_of_their_trip(
        self, faulty: Faulty
    ) -> None:
        """Some of a group may be stored, or all, or none: each finds out."""
        ids = [an_id(no) for no in range(1, 61)]
        faulty.store.insert(an_email(email_id=an_id(99)))
        faulty.fail({"times": 6}, ["insert"], closeConnection=True)

        with ThreadPoolExecutor(20) as pool:
            emails = [an_email(email_id=each) for each in ids]
            list(pool.map(faulty.store.insert, emails))

        assert all(faulty.store.load(each) is not None for each in ids)

    @pytest.mark.usefixtures("brief")
    def test_one_that_is_there_already_spoils_no_other(self, faulty: Faulty) -> None:
        twice = an_email(email_id=an_id(1))
        faulty.store.insert(twice)
        documents = [to_document(an_email(email_id=an_id(no))) for no in (1, 2, 3)]

        with pytest.raises(pymongo.errors.BulkWriteError):
            faulty.store._inserts._insert_all(documents)

        assert all(faulty.store.load(an_id(no)) is not None for no in (2, 3))
        faulty.store.insert(twice)  # as whoever is of that group does next

    def test_the_payload_is_there_before_the_email(self, faulty: Faulty) -> None:
        faulty.fail({"skip": 1}, ["insert"], errorCode=13)
        large = an_email(content=a_content(text="x" * 100_000))

        with pytest.raises(NotStoredError):
            faulty.store.insert(large)

        faulty.heal()
        assert faulty.is_stored("payloads")
        assert faulty.store.load(ID) is None

        faulty.store.insert(large)
        assert faulty.store.load(ID) == large

    def test_a_small_email_has_no_payload(self, faulty: Faulty) -> None:
        faulty.store.insert(an_email())

        assert not faulty.is_stored("payloads")


class TestOther:
    def test_an_email_that_lost_its_payload_is_never_sent_empty(
        self, faulty: Faulty
    ) -> None:
        faulty.store.insert(an_email(content=a_content(text="x" * 100_000)))
        faulty.database["payloads"].delete_many({})

        with pytest.raises(StoreUnavailableError, match="payload"):
            faulty.store.load(ID)

    @pytest.mark.usefixtures("brief")
    def test_a_failure_comes_as_our_own_error(self, faulty: Faulty) -> None:
        faulty.store.insert(an_email())
        faulty.fail("alwaysOn", ["find", "update"], errorCode=13)

        with pytest.raises(StoreUnavailableError):
            faulty.store.load(ID)
        with pytest.raises(StoreUnavailableError):
            faulty.store.due(NOW, limit=1)
        with pytest.raises(StoreUnavailableError):
            faulty.store.parked(ALPHA, limit=1)
        with pytest.raises(StoreUnavailableError):
            faulty.store.apply(a_claim())

    @pytest.mark.usefixtures("brief")
    def test_with_patience_a_write_is_tried_until_it_is_answered(
        self, faulty: Faulty
    ) -> None:
        faulty.store.insert(an_email())
        faulty.fail({"times": 4}, ["update"], errorCode=13)

        assert faulty.store.apply(a_claim(), patience=seconds(HANG_S))

    @pytest.mark.usefixtures("brief")
    def test_patience_has_an_end(self, faulty: Faulty) -> None:
        faulty.store.insert(an_email())
        faulty.fail("alwaysOn", ["update"], errorCode=13)

        with pytest.raises(StoreUnavailableError):
            faulty.store.apply(a_claim(), patience=seconds(0.3))

    def test_a_claim_whose_reply_is_lost_is_written_once(self, faulty: Faulty) -> None:
        faulty.store.insert(an_email())
        faulty.fail({"times": 1}, ["update"], closeConnection=True)

        assert faulty.store.apply(a_claim())

        email = faulty.store.load(ID)
        assert email is not None
        assert email.state is State.SENDING
        assert email.attempts == (an_attempt(id="new", started_at=NOW),)

    def test_a_write_that_was_done_without_a_reply_is_known_for_ones_own(
        self, faulty: Faulty
    ) -> None:
        faulty.store.insert(an_email())
        proxies = Proxies().start({"mongodb": faulty.server.port})
        uri = f"mongodb://127.0.0.1:{proxies.ports['mongodb']}/?directConnection=true"
        with connect(uri) as client:
            store = MongoStore(client[faulty.database.name])
            assert store.load(ID)
            proxies.set("mongodb", Order(mode=Mode.DROP, chance=1.0, times=1))

            assert store.apply(a_claim())
        proxies.stop()

        email = faulty.store.load(ID)
        assert email is not None
        assert email.attempts == (an_attempt(id="new", started_at=NOW),)
        another = lifecycle.claim(
            an_email(), provider=ALPHA, attempt_id="another", now=NOW, policy=POLICY
        )
        assert not faulty.store.apply(another)

    def test_a_server_that_hangs_is_not_writable(self, faulty: Faulty) -> None:
        assert faulty.store.is_writable()
        faulty.server.pause()

        assert not faulty.store.is_writable()

    def test_indexes_are_made_twice_without_harm(self, faulty: Faulty) -> None:
        faulty.store.ensure_indexes()

        names = faulty.database["emails"].index_information()
        assert {"due", "parked"} <= set(names)


def test_the_database_is_the_one_that_the_uri_names() -> None:
    with connect("mongodb://127.0.0.1:9/mine") as client:
        assert database_of(client).name == "mine"
    with connect("mongodb://127.0.0.1:9") as client:
        assert database_of(client).name == "postroom"


def test_every_write_is_asked_to_be_on_a_majoritys_disks(
    mongo_database: Database[dict[str, Any]],
) -> None:
    store = MongoStore(mongo_database)

    for collection in (store._emails, store._payloads):
        assert collection.write_concern.document == {"w": "majority", "j": True}
        assert collection.read_concern.level == "majority"


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_inserts_keeps_every_email_it_took(
    tmp_path: Path,
) -> None:
    try:
        server = a_mongodb(tmp_path)
    except ServersMissingError as ex:
        skip_or_fail(ex)
    with server, connect(server.url) as client:
        store = MongoStore(client["kill"])
        crowd = Crowd(store)
        crowd.begin(threads=4)
        for _ in range(2):
            crowd.wait_for_more(100)
            server.kill9()
            server.start()
        crowd.wait_for_more(50)
        crowd.end()

        stored = {str(d["_id"]) for d in client["kill"]["emails"].find({}, {"_id": 1})}
        assert crowd.taken <= stored
        assert not crowd.refused & stored
        assert len(crowd.taken) > 200


class Crowd:
    """Threads that insert emails and note what they were told."""

    def __init__(self, store: MongoStore) -> None:
        self.taken: set[str] = set()
        self.refused: set[str] = set()
        self._store = store
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, *, threads: int) -> None:
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, count: int) -> None:
        goal, give_up = len(self.taken) + count, time.monotonic() + 2 * HANG_S
        while len(self.taken) < goal:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(HANG_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            email = an_email(email_id=str(ObjectId()))
            try:
                self._store.insert(email)
            except NotStoredError:
                self.refused.add(email.email_id)
            except StorageUnsureError:
                continue
            else:
                self.taken.add(email.email_id)


def test_an_email_that_cannot_be_read_holds_up_no_other(
    mongo_database: Database[dict[str, Any]],
) -> None:
    """A newer release wrote a word that this one does not know."""
    store = MongoStore(mongo_database)
    readable, newer = an_email(), an_email(email_id="f" * 24)
    store.insert(readable)
    store.insert(newer)
    mongo_database["emails"].update_one(
        {"_id": ObjectId(newer.email_id)}, {"$set": {"waiting_for": "the moon"}}
    )

    due = store.due(NOW + seconds(60), limit=10)

    assert [email.email_id for email in due] == [readable.email_id]


def test_a_uri_cannot_send_the_protocols_reads_elsewhere() -> None:
    """A secondary may be behind; what the URI says costs no connection to tell."""
    with connect("mongodb://127.0.0.1:1/mail?readPreference=secondary") as client:
        emails = durable(database_of(client))["emails"]

    assert emails.read_preference == ReadPreference.PRIMARY
    assert emails.read_concern.level == "majority"
