"""One contract for what erases emails on demand: MongoDB, and the in-memory twin."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_erasure import MemoryErasure
from postroom.adapters.mongo_archive import MongoArchive
from postroom.adapters.mongo_codec import to_document
from postroom.adapters.mongo_erasure import MongoErasure
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_store import MongoStore
from postroom.adapters.sandbox_inbox import MongoInbox
from postroom.domain import interventions
from postroom.domain.archive import Archive, Page, Query
from postroom.domain.change import Change
from postroom.domain.email import FINAL_STATES, Attachment, Email, State
from postroom.domain.erasure import erased_whole, is_erased_whole
from postroom.domain.errors import SearchTimeoutError, StoreUnavailableError
from postroom.domain.ports import EmailStore
from postroom.domain.ports_erasure import Erasure
from tests.adapters.breakers.parts import at_once
from tests.builders import (
    ID,
    NOW,
    POLICY,
    a_content,
    a_full_content,
    a_recipient,
    an_email,
    everything_set,
)
from tests.servers import a_mongodb

LARGE = "x" * (LARGEST_INLINE + 1)


@dataclass(frozen=True)
class Stand:
    store: EmailStore
    erasure: Erasure
    archive: Archive
    payloads: Callable[[], int]

    def given(self, *emails: Email) -> Email:
        for email in emails:
            self.store.insert(email)
        return emails[-1]

    def loaded(self) -> Email:
        email = self.store.load(ID)
        assert email is not None
        return email

    def to(self, addr_spec: str, **given: Any) -> list[str]:
        asked = {"owner": None, "after": None, "limit": 100} | given
        return list(self.erasure.addressed_to(addr_spec, **asked))


@pytest.fixture(params=["memory", "mongo"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        twin = MemoryErasure()
        return Stand(twin, twin, MemoryArchive(twin), lambda: len(twin.payloads))
    database: Database[dict[str, Any]] = request.getfixturevalue("mongo_database")
    store = MongoStore(database)
    store.ensure_indexes()
    payloads = database["payloads"]
    return Stand(
        store,
        MongoErasure(database),
        MongoArchive(database),
        lambda: payloads.count_documents({}),
    )


def an_id(no: int) -> str:
    return f"{no:024x}"


def erasing(email: Email) -> Change:
    return erased_whole(email, now=NOW, keep_email=POLICY.keep_email)


def full() -> Email:
    return replace(everything_set(), state=State.SENT, email_id=ID, due_at=None)


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_what_is_written_is_what_the_rule_says(stand: Stand, state: State) -> None:
    email = stand.given(an_email(state, content=a_full_content()))

    assert stand.erasure.erase_whole(erasing(email))

    assert stand.loaded() == erasing(email).after
    assert is_erased_whole(stand.loaded())


def test_every_field_that_can_be_set_goes_or_stays_as_the_rule_says(
    stand: Stand,
) -> None:
    email = stand.given(full())

    assert stand.erasure.erase_whole(erasing(email))

    assert stand.loaded() == erasing(email).after


def test_copies_of_the_sandbox_go_first(
    mongo_database: Database[dict[str, Any]],
) -> None:
    """What is erased already is not looked at again, so they would be left."""
    inbox = MongoInbox(mongo_database)
    for email_id in (ID, ID, an_id(7)):
        inbox.keep({"email_id": email_id, "at": NOW, "recipients": ["a@b.example"]})

    assert not MongoErasure(mongo_database).erase_whole(erasing(full()))

    assert [kept["email_id"] for kept in inbox.latest(9)] == [an_id(7)]


def test_large_parts_go_with_the_rest(stand: Stand) -> None:
    file = Attachment(filename="a", content=LARGE.encode(), content_type="a/b")
    content = a_content(text=LARGE, attachments=(file,))
    email = stand.given(an_email(State.SENT, content=content))

    assert stand.erasure.erase_whole(erasing(email))

    assert stand.payloads() == 0
    assert stand.loaded() == erasing(email).after


def test_nothing_of_it_is_left_anywhere_in_the_store(
    mongo_database: Database[dict[str, Any]],
) -> None:
    secrets = ("ada@", "Ada", "bob@", "Hello", "receipt", "X-Order", "help@", "sorry")
    store = MongoStore(mongo_database)
    store.insert(full())
    assert all(word in str(everything(mongo_database)) for word in secrets)

    assert MongoErasure(mongo_database).erase_whole(erasing(full()))

    left = str(everything(mongo_database))
    assert [word for word in secrets if word in left] == []


def everything(database: Database[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        document
        for name in database.list_collection_names()
        for document in database[name].find()
    ]


def test_a_redrive_in_between_wins(stand: Stand) -> None:
    email = stand.given(an_email(State.FAILED))
    redriven = interventions.redriven(email, now=NOW, policy=POLICY)
    assert stand.store.apply(redriven)

    assert not stand.erasure.erase_whole(erasing(email))
    assert stand.loaded() == redriven.after


def test_an_email_that_is_gone_is_not_erased(stand: Stand) -> None:
    assert not stand.erasure.erase_whole(erasing(an_email(State.SENT)))


def test_a_repeated_write_is_known_for_ones_own(stand: Stand) -> None:
    email = stand.given(an_email(State.SENT))

    done = [stand.erasure.erase_whole(erasing(email)) for _ in range(2)]

    assert done == [True, True]


def test_of_an_erasure_and_a_redrive_at_once_one_is_written(stand: Stand) -> None:
    for no in range(10):
        email = an_email(State.FAILED, email_id=an_id(no))
        stand.given(email)
        redrive = interventions.redriven(email, now=NOW, policy=POLICY)

        done = at_once(
            lambda email=email: stand.erasure.erase_whole(erasing(email)),
            lambda redrive=redrive: stand.store.apply(redrive),
        )

        assert sorted(done) == [False, True]


def test_an_erased_email_is_still_listed_and_no_longer_found_by_what_it_said(
    stand: Stand,
) -> None:
    email = stand.given(an_email(State.SENT, content=a_full_content()))
    stand.erasure.erase_whole(erasing(email))

    def found(**given: Any) -> int:
        query = Query(owner="default", **given)
        return len(stand.archive.find(query, Page()).emails)

    assert (found(), found(state=State.SENT)) == (1, 1)
    assert (found(to="ada@example.com"), found(tag="kind")) == (0, 0)
    assert stand.to("ada@example.com") == []


def test_emails_to_an_address_are_found_whatever_its_case_and_kind(
    stand: Stand,
) -> None:
    bob = a_recipient(addr_spec="Bob+1@example.com")
    stand.given(
        an_email(email_id=an_id(1)),
        an_email(email_id=an_id(2), recipients=(a_recipient(), bob)),
        an_email(State.SENT, email_id=an_id(3), recipients=(bob,), owner="bea"),
        an_email(State.FAILED, email_id=an_id(4), recipients=(bob,)),
    )

    assert stand.to("bOB+1@Example.com") == [an_id(2), an_id(3), an_id(4)]
    assert stand.to("b.b+1@example.com") == []
    assert stand.to("bob+1@example.com", owner="bea") == [an_id(3)]
    assert stand.to("bob+1@example.com", limit=2) == [an_id(2), an_id(3)]
    assert stand.to("bob+1@example.com", after=an_id(2)) == [an_id(3), an_id(4)]


def test_emails_of_before_labels_are_found_too(
    mongo_database: Database[dict[str, Any]],
) -> None:
    old = to_document(an_email(email_id=an_id(1)))
    del old["labels"]
    mongo_database["emails"].insert_one(old)
    MongoStore(mongo_database).insert(an_email(email_id=an_id(2)))

    found = MongoErasure(mongo_database).addressed_to(
        "ADA@example.com", owner=None, after=None, limit=9
    )

    assert found == [an_id(1), an_id(2)]


def test_a_store_that_is_away_says_so(tmp_path: Path) -> None:
    with (
        a_mongodb(tmp_path, test_commands=True) as server,
        pymongo.MongoClient[dict[str, Any]](
            server.url, retryReads=False, retryWrites=False
        ) as client,
    ):
        erasure = MongoErasure(client["postroom"])
        commands = ["update", "find", "distinct"]
        for code, error in ((11600, StoreUnavailableError), (50, SearchTimeoutError)):
            client.admin.command(
                {
                    "configureFailPoint": "failCommand",
                    "mode": "alwaysOn",
                    "data": {"failCommands": commands, "errorCode": code},
                }
            )
            with pytest.raises(error):
                erasure.addressed_to("a@b.example", owner=None, after=None, limit=1)
            with pytest.raises(StoreUnavailableError):
                erasure.erase_whole(erasing(an_email(State.SENT)))
