"""What comes in together when the server fails: all of it or nothing, and no lie."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, ConfigurationError

from postroom.adapters import mongo_inserts, mongo_intake
from postroom.adapters.mongo_intake import MongoIntake
from postroom.domain.email import Email
from postroom.domain.errors import (
    KeyInUseError,
    NoTransactionsError,
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from postroom.domain.idempotency import Receipt
from tests.adapters.test_mongo_store import Faulty
from tests.builders import NOW, a_content, an_email
from tests.servers import Server, a_mongodb

FIRST, SECOND = "0" * 23 + "1", "0" * 23 + "2"

KEYED = pytest.mark.parametrize("name", ["", "key"], ids=["without a key", "with one"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with a_mongodb(tmp_path_factory.mktemp("intake"), test_commands=True) as running:
        yield running


@pytest.fixture
def faulty(server: Server) -> Iterator[Faulty]:
    faulty = Faulty(server)
    yield faulty
    faulty.heal()
    faulty.close()


@pytest.fixture
def intake(faulty: Faulty) -> MongoIntake:
    return MongoIntake(faulty.database)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_intake, "INSERT_BUDGET_S", 1.0)
    monkeypatch.setattr(mongo_intake, "RECALL_S", 0.0)


def put(intake: MongoIntake, name: str = "key", **given: Any) -> Receipt:
    emails = some_emails(**given)
    return intake.insert_together(emails, a_receipt(emails, name))


def some_emails(**given: Any) -> list[Email]:
    return [an_email(email_id=each, **given) for each in (FIRST, SECOND)]


def a_receipt(emails: list[Email], name: str = "key") -> Receipt:
    return Receipt.of(emails, (), at=NOW, name=name, fingerprint="f")


def stored(faulty: Faulty) -> int:
    control = faulty._control[faulty.database.name]
    return sum(control[each].count_documents({}) for each in ("emails", "idempotency"))


@KEYED
@pytest.mark.parametrize("command", ["insert", "commitTransaction"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_reply_is_found_out(
    faulty: Faulty, intake: MongoIntake, name: str, command: str, times: int
) -> None:
    faulty.fail({"times": times}, [command], closeConnection=True)

    assert put(intake, name).email_ids == (FIRST, SECOND)

    assert stored(faulty) == 3


@KEYED
def test_a_majority_that_did_not_answer_in_time_is_asked_again(
    faulty: Faulty, intake: MongoIntake, name: str
) -> None:
    error = {"code": 64, "errmsg": "waiting for replication timed out"}
    faulty.fail({"times": 1}, ["commitTransaction"], writeConcernError=error)

    put(intake, name)

    assert stored(faulty) == 3


@pytest.mark.usefixtures("brief")
@KEYED
def test_a_commit_that_is_never_answered_leaves_it_unsure(
    faulty: Faulty, intake: MongoIntake, name: str
) -> None:
    faulty.fail("alwaysOn", ["commitTransaction", "find"], closeConnection=True)

    with pytest.raises(StorageUnsureError) as caught:
        put(intake, name)

    assert caught.value.email_ids == (FIRST, SECOND)
    assert caught.value.has_key == bool(name)


@pytest.mark.usefixtures("brief")
def test_a_refusal_after_an_unclear_commit_is_no_answer(
    faulty: Faulty, intake: MongoIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try may be stored, whatever the second is told."""

    def lose(*_: Any) -> None:
        faulty.fail("alwaysOn", ["insert", "find"], errorCode=13)
        raise mongo_intake._UnclearError from AutoReconnect("reply lost")

    monkeypatch.setattr(intake, "_commit", lose)

    with pytest.raises(StorageUnsureError):
        put(intake)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("code", [91, 189, 11600, 50])
def test_what_fails_before_the_commit_is_known_not_to_be_stored(
    faulty: Faulty, intake: MongoIntake, code: int
) -> None:
    faulty.fail("alwaysOn", ["insert"], errorCode=code)

    with pytest.raises(NotStoredError):
        put(intake)

    faulty.heal()
    assert stored(faulty) == 0


@pytest.mark.parametrize("code", [13, 121])
def test_a_refusal_is_told_at_once(
    faulty: Faulty, intake: MongoIntake, code: int
) -> None:
    faulty.fail("alwaysOn", ["insert"], errorCode=code)

    with pytest.raises(NotStoredError):
        put(intake)


@pytest.mark.parametrize("code", [20, 263])
def test_a_server_without_transactions_is_named(
    faulty: Faulty, intake: MongoIntake, code: int
) -> None:
    faulty.fail("alwaysOn", ["insert"], errorCode=code)

    with pytest.raises(NoTransactionsError):
        put(intake)


def test_a_server_without_sessions_is_named(
    intake: MongoIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigurationError("Sessions are not supported")

    monkeypatch.setattr(intake, "_put_emails", refuse)

    with pytest.raises(NoTransactionsError):
        put(intake)


def test_one_that_is_too_large_keeps_all_of_it_out(
    faulty: Faulty, intake: MongoIntake
) -> None:
    emails = [*some_emails(), an_email(content=a_content(text="x" * 17_000_000))]

    with pytest.raises(NotStoredError):
        intake.insert_together(emails, a_receipt(emails))

    assert stored(faulty) == 0


def test_a_key_that_another_has_in_hand_is_told_at_once(
    faulty: Faulty, intake: MongoIntake
) -> None:
    with faulty._control.start_session() as session, session.start_transaction():
        keys = faulty._control[faulty.database.name]["idempotency"]
        keys.insert_one({"_id": "key"}, session=session)

        with pytest.raises(KeyInUseError):
            put(intake)

        session.abort_transaction()

    put(intake)
    assert stored(faulty) == 3


@pytest.mark.usefixtures("brief")
def test_emails_alone_are_tried_again_while_others_are_in_the_way(
    faulty: Faulty, intake: MongoIntake
) -> None:
    faulty.fail(
        {"times": mongo_intake.TRIES + 2},
        ["insert"],
        errorCode=112,
        errorLabels=["TransientTransactionError"],
    )

    put(intake, name="")

    assert stored(faulty) == 3


def test_a_store_that_is_away_recalls_nothing(
    faulty: Faulty, intake: MongoIntake
) -> None:
    faulty.fail("alwaysOn", ["find"], errorCode=11600)

    with pytest.raises(StoreUnavailableError):
        intake.recall("key")


def test_a_store_that_hangs_leaves_a_client_no_longer_without_an_answer(
    faulty: Faulty, intake: MongoIntake
) -> None:
    """With a key and without one it is the same 4 s in all."""
    hang_s = 20.0
    hangs = ["find", "insert"]
    faulty.fail(
        "alwaysOn", hangs, blockConnection=True, blockTimeMS=round(hang_s * 1000)
    )

    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        intake.recall("key")
    with pytest.raises(NotStoredError):
        put(intake)

    assert time.monotonic() - began < hang_s / 2
    whole = mongo_intake.INSERT_BUDGET_S
    assert mongo_intake.RECALL_S < whole == mongo_inserts.INSERT_BUDGET_S


@pytest.mark.usefixtures("brief")
def test_a_server_that_is_away_from_the_start_has_stored_nothing(
    tmp_path: Path,
) -> None:
    with a_mongodb(tmp_path) as gone:
        faulty = Faulty(gone)
        intake = MongoIntake(faulty.database)
        gone.kill9()

        with pytest.raises(NotStoredError):
            put(intake)

        faulty.client.close()
        faulty._control.close()


def test_what_was_committed_is_there_after_a_crash(tmp_path: Path) -> None:
    with a_mongodb(tmp_path) as crashing, contextlib.closing(Faulty(crashing)) as it:
        intake = MongoIntake(it.database)
        receipt = put(intake)
        crashing.kill9()
        crashing.start()

        assert intake.recall("key") == receipt
        assert stored(it) == 3


def test_what_was_recalled_is_there_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second may not tell of what a crash could still undo."""
    with a_mongodb(tmp_path) as crashing, contextlib.closing(Faulty(crashing)) as it:
        intake = MongoIntake(it.database)
        with monkeypatch.context() as patch:
            patch.setattr(intake, "_tell", lambda _: True)
            receipt = put(intake)

        assert intake.recall("key") == receipt
        crashing.kill9()
        crashing.start()

        assert intake.recall("key") == receipt


def test_a_commit_that_a_crash_has_undone_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_mongodb(tmp_path) as crashing, contextlib.closing(Faulty(crashing)) as it:
        intake = MongoIntake(it.database)
        tell = intake._tell

        def crash(name: str) -> bool:
            monkeypatch.setattr(intake, "_tell", tell)
            it._control[it.database.name]["idempotency"].drop()
            it._control[it.database.name]["emails"].drop()
            return tell(name)

        monkeypatch.setattr(intake, "_tell", crash)

        put(intake)

        assert stored(it) == 3
