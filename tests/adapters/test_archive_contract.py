"""One contract, two archives: MongoDB and its in-memory twin."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from postroom.adapters import mongo_archive
from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_store import MemoryStore
from postroom.adapters.mongo_archive import SERVED_BY, MongoArchive, to_query
from postroom.adapters.mongo_codec import to_document
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_store import (
    ATTEMPTED,
    INDEXES,
    MongoStore,
)
from postroom.domain.archive import (
    ONE_AT_A_TIME,
    Archive,
    DeadLetters,
    Page,
    Query,
)
from postroom.domain.email import (
    Attachment,
    Content,
    Email,
    RecipientKind,
    RecipientState,
    State,
    Tag,
)
from postroom.domain.errors import SearchTimeoutError, StoreUnavailableError
from postroom.domain.interventions import redriven
from postroom.domain.ports import EmailStore
from postroom.domain.retention import without_bodies
from tests.builders import (
    ALPHA,
    BETA,
    GAMMA,
    NOW,
    POLICY,
    a_content,
    a_held_email,
    a_parked_email,
    a_recipient,
    an_attempt,
    an_email,
    at,
)
from tests.servers import PATIENCE_S, a_mongodb


@dataclass(frozen=True)
class Shelf:
    """A store and the archive over it."""

    store: EmailStore
    archive: Archive

    def hold(self, *emails: Email) -> None:
        for email in emails:
            self.store.insert(email)

    def ids(self, query: Query | None = None, **page: Any) -> list[str]:
        found = self.archive.find(query or Query(), Page(**page))
        return [email.email_id for email in found.emails]


@pytest.fixture(params=["memory", "mongo"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "memory":
        memory = MemoryStore()
        return Shelf(memory, MemoryArchive(memory))
    database: Database[dict[str, Any]] = request.getfixturevalue("mongo_database")
    store = MongoStore(database)
    store.ensure_indexes()
    return Shelf(store, MongoArchive(database))


def a_full() -> Content:
    return a_content(
        html="<p>Hello</p>",
        tags=(Tag(name="kind", value="receipt"),),
        attachments=(
            Attachment(filename="a.txt", content=b"a", content_type="text/plain"),
        ),
    )


def an_id(no: int, created_at: datetime = NOW) -> str:
    """Give an id as a machine makes it that accepts an email then."""
    return f"{int(created_at.timestamp()):08x}{no:016x}"


def accepted_at(seconds: float, **given: Any) -> Email:
    created_at = at(seconds)
    return an_email(
        email_id=an_id(0, created_at), created_at=created_at, content=None, **given
    )


class TestPages:
    def test_the_newest_come_first_and_without_bodies(self, shelf: Shelf) -> None:
        shelf.hold(
            *[an_email(email_id=an_id(no), content=a_full()) for no in (2, 3, 1)]
        )

        found = shelf.archive.find(Query(), Page())

        assert [e.email_id for e in found.emails] == [an_id(3), an_id(2), an_id(1)]
        assert all(e.content == without_bodies(a_full()) for e in found.emails)
        assert not found.has_more

    def test_bodies_that_are_stored_apart_are_not_fetched(self, shelf: Shelf) -> None:
        large = a_content(text="x" * (LARGEST_INLINE + 1))
        shelf.hold(an_email(content=large))

        (email,) = shelf.archive.find(Query(), Page()).emails

        assert email.content == without_bodies(large)

    def test_following_the_cursor_shows_every_email_once(self, shelf: Shelf) -> None:
        shelf.hold(*[an_email(email_id=an_id(no)) for no in range(7)])
        seen: list[str] = []
        page, more = Page(limit=3), True

        while more:
            found = shelf.archive.find(Query(), page)
            seen += [email.email_id for email in found.emails]
            page, more = Page(limit=3, after=seen[-1]), found.has_more

        assert seen == [an_id(no) for no in reversed(range(7))]

    def test_going_back_gives_the_nearest_newer_ones(self, shelf: Shelf) -> None:
        shelf.hold(*[an_email(email_id=an_id(no)) for no in range(7)])

        found = shelf.archive.find(Query(), Page(limit=2, before=an_id(3)))

        assert [e.email_id for e in found.emails] == [an_id(5), an_id(4)]
        assert found.has_more
        assert shelf.ids(limit=3, before=an_id(3)) == [an_id(6), an_id(5), an_id(4)]

    def test_what_is_exactly_one_page_has_no_more(self, shelf: Shelf) -> None:
        shelf.hold(*[an_email(email_id=an_id(no)) for no in range(3)])

        assert not shelf.archive.find(Query(), Page(limit=3)).has_more
        assert not shelf.archive.find(Query(), Page(limit=3, before=an_id(0))).has_more
        assert shelf.ids(after=an_id(0)) == []


def various() -> list[Email]:
    """Give emails that differ in what a query asks for."""
    tagged = a_content(
        tags=(Tag(name="kind", value="receipt"), Tag(name="x", value=""))
    )
    bob = a_recipient(kind=RecipientKind.BCC, addr_spec="Bob+1@example.com")
    facts: list[dict[str, Any]] = [
        {},
        {"content": tagged},
        {"content": a_content(tags=(Tag(name="kind", value="reset"),))},
        {"recipients": (a_recipient(), bob)},
        {"provider": BETA},
        {"attempts": (an_attempt(provider=BETA), an_attempt(no=2))},
        {"parked_for": (ALPHA, BETA)},
        {"owner": "bob", "content": tagged, "attempts": (an_attempt(provider=BETA),)},
        {"created_at": at(-7200)},
        {"created_at": at(-3600)},
    ]
    return [
        an_email(
            state,
            **{"created_at": NOW} | given,
            email_id=an_id(no, given.get("created_at", NOW)),
        )
        for no, (state, given) in enumerate(
            (state, given) for state in State for given in facts
        )
    ]


QUERIES = {
    "all": Query(),
    **{state.value: Query(state=state) for state in State},
    "to": Query(to="ada@example.com"),
    "to-in-any-case": Query(to="bOB+1@Example.com"),
    "to-is-no-pattern": Query(to="b.b+1@example.com"),
    "to-is-the-whole-address": Query(to="da@example.com"),
    "tag": Query(tag="kind"),
    "tag-with-value": Query(tag="kind", tag_value="reset"),
    "tag-with-the-value-of-another": Query(tag="x", tag_value="receipt"),
    "tag-with-an-empty-value": Query(tag="x", tag_value=""),
    "provider": Query(provider=BETA),
    "provider-of-none": Query(provider=GAMMA),
    "attempted": Query(attempted=BETA),
    "attempted-nowhere-else": Query(attempted=GAMMA),
    "after": Query(created_after=at(-3600)),
    "before": Query(created_before=at(-3600)),
    "between": Query(created_after=at(-7200), created_before=at(-3600)),
    "since-ever": Query(created_after=datetime.min.replace(tzinfo=UTC)),
    "for-ever": Query(created_before=datetime.max.replace(tzinfo=UTC)),
    "all-at-once": Query(
        state=State.QUEUED,
        to="ada@example.com",
        tag="kind",
        created_after=at(-1),
        created_before=at(1),
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_both_find_what_the_query_admits(shelf: Shelf, name: str) -> None:
    emails = various()
    shelf.hold(*emails)

    for owner in (None, "default", "bob"):
        query = replace(QUERIES[name], owner=owner)
        admitted = {email.email_id for email in emails if query.admits(email)}
        assert set(shelf.ids(query, limit=100)) == admitted
        none = ("none", "pattern", "address", "another", "else")
        assert admitted or owner == "bob" or name.endswith(none)


def test_a_search_by_time_reads_only_ids_of_about_that_time(
    mongo_database: Database[dict[str, Any]],
) -> None:
    emails = mongo_database["emails"]
    emails.insert_many([to_document(accepted_at(-3600 * hours)) for hours in range(40)])

    query = Query(created_after=at(-3600 * 11), created_before=at(-3600 * 10))

    ids_only = {"_id": to_query(query)["_id"]}
    assert emails.count_documents(ids_only) == 3  # hours 10, 11 and 12
    found = MongoArchive(mongo_database).find(query, Page()).emails
    assert [email.created_at for email in found] == [at(-3600 * 11)]


def test_an_email_that_cannot_be_read_hides_no_other(
    mongo_database: Database[dict[str, Any]],
) -> None:
    strange = to_document(an_email(email_id=an_id(2))) | {"state": "teleported"}
    mongo_database["emails"].insert_many(
        [to_document(an_email(email_id=an_id(1))), strange]
    )

    archive = MongoArchive(mongo_database)

    found = archive.find(Query(), Page())

    assert [email.email_id for email in found.emails] == [an_id(1)]
    assert archive.counts().by_state == {State.QUEUED: 1}


REFUSED = a_recipient(state=RecipientState.REFUSED, code="550")


def dead_letters() -> list[Email]:
    """Give dead letters that differ in what is asked for, and some that are none."""
    dead: list[tuple[State, dict[str, Any]]] = [
        (State.FAILED, {"reason": "expired", "dead_at": at(-30)}),
        (State.FAILED, {"reason": "refused", "dead_at": at(-20)}),
        (State.FAILED, {"reason": "expired", "dead_at": at(-10), "attempts": ()}),
        (
            State.FAILED,
            {"reason": "x", "dead_at": at(0), "provider": BETA, "attempts": ()},
        ),
        (State.SENT, {"dead_at": at(-15), "recipients": (a_recipient(), REFUSED)}),
        (State.SENT, {}),
        (State.QUEUED, {"reason": "expired"}),
    ]
    bare = {"recipients": (a_recipient(),)}
    return [
        an_email(state, **bare | {"email_id": an_id(no)} | given)
        for no, (state, given) in enumerate(dead)
    ]


DEAD_QUERIES = {
    "all": (DeadLetters(), [3, 2, 4, 1, 0]),
    "reason": (DeadLetters(reason="expired"), [2, 0]),
    "code-of-a-recipient": (DeadLetters(reason="550"), [4]),
    "provider": (DeadLetters(provider=ALPHA), [4, 1, 0]),
    "pin": (DeadLetters(provider=BETA), [3]),
    "since": (DeadLetters(since=at(-15)), [3, 2, 4]),
    "all-at-once": (
        DeadLetters(reason="expired", provider=ALPHA, since=at(-30)),
        [0],
    ),
    "none": (DeadLetters(reason="nonsense"), []),
}


class TestDeadLetters:
    @pytest.mark.parametrize("name", DEAD_QUERIES)
    def test_the_latest_come_first_and_only_what_fits(
        self, shelf: Shelf, name: str
    ) -> None:
        shelf.hold(*dead_letters())
        query, expected = DEAD_QUERIES[name]

        found = shelf.archive.dead_letters(query, limit=9)

        assert [e.email_id for e in found.emails] == [an_id(no) for no in expected]
        assert all(e.content and e.content.text is None for e in found.emails)
        assert not found.has_more
        assert shelf.archive.dead_count(query) == len(expected)

    def test_the_oldest_come_first_if_asked(self, shelf: Shelf) -> None:
        shelf.hold(*dead_letters())

        found = shelf.archive.dead_letters(DeadLetters(), limit=2, oldest_first=True)

        assert [e.email_id for e in found.emails] == [an_id(0), an_id(1)]
        assert found.has_more

    def test_one_that_was_redriven_is_none_any_more(self, shelf: Shelf) -> None:
        (email, *_) = dead_letters()
        shelf.hold(email)

        assert shelf.store.apply(redriven(email, now=NOW, policy=POLICY))

        assert shelf.archive.dead_count(DeadLetters()) == 0


class TestPagesOfDeadLetters:
    def test_one_owner_s_are_shown_page_by_page_newest_email_first(
        self, shelf: Shelf
    ) -> None:
        shelf.hold(*dead_letters())
        stranger = an_email(State.FAILED, email_id=an_id(99), owner="bob")
        shelf.hold(stranger)
        query = DeadLetters(owner="default")

        first = shelf.archive.dead_page(query, Page(limit=3))
        rest = shelf.archive.dead_page(query, Page(limit=3, after=an_id(2)))

        assert [e.email_id for e in first.emails] == [an_id(n) for n in (4, 3, 2)]
        assert [e.email_id for e in rest.emails] == [an_id(n) for n in (1, 0)]
        assert (first.has_more, rest.has_more) == (True, False)

    @pytest.mark.parametrize("name", DEAD_QUERIES)
    def test_a_page_has_what_fits_and_nothing_else(
        self, shelf: Shelf, name: str
    ) -> None:
        shelf.hold(*dead_letters(), an_email(State.FAILED, email_id=an_id(99)))
        query, expected = DEAD_QUERIES[name]
        owned = replace(query, owner="default")
        stranger = replace(query, owner="bob")

        found = shelf.archive.dead_page(owned, Page()).emails

        assert {an_id(no) for no in expected} <= {e.email_id for e in found}
        assert all(owned.admits(email) for email in found)
        assert not shelf.archive.dead_page(stranger, Page()).emails
        assert not shelf.archive.dead_letters(stranger, limit=9).emails
        assert shelf.archive.dead_count(stranger) == 0


class TestCounts:
    def test_nothing_is_counted_as_nothing(self, shelf: Shelf) -> None:
        counts = shelf.archive.counts()

        assert (dict(counts.by_state), counts.held) == ({}, 0)

    def test_each_state_and_what_is_held(self, shelf: Shelf) -> None:
        states = [State.QUEUED, State.QUEUED, State.SENT, State.UNKNOWN]
        shelf.hold(*[an_email(s, email_id=an_id(n)) for n, s in enumerate(states)])
        shelf.hold(*[a_held_email(email_id=an_id(no)) for no in (7, 8)])

        counts = shelf.archive.counts()

        assert counts.by_state == {State.QUEUED: 2, State.SENT: 1, State.UNKNOWN: 3}
        assert counts.held == 2

    def test_what_is_parked_for_a_provider(self, shelf: Shelf) -> None:
        shelf.hold(
            a_parked_email(ALPHA, BETA, email_id=an_id(1)),
            a_parked_email(ALPHA, email_id=an_id(2)),
            an_email(email_id=an_id(3)),
        )

        parked = [shelf.archive.parked_count(name) for name in (ALPHA, BETA, GAMMA)]

        assert parked == [2, 1, 0]


@contextmanager
def broken(folder: Path, **data: Any) -> Iterator[MongoArchive]:
    """Give the archive of a MongoDB whose commands fail as told."""
    with (
        a_mongodb(folder, test_commands=True) as server,
        pymongo.MongoClient[dict[str, Any]](
            server.url, serverSelectionTimeoutMS=1000, retryReads=False
        ) as client,
    ):
        if data:
            fault = {"failCommands": ["find", "aggregate"], **data}
            client.admin.command(
                {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": fault}
            )
        else:
            server.stop()
        yield MongoArchive(client["postroom"])


def all_searches(archive: Archive) -> list[Any]:
    return [
        lambda: archive.find(Query(), Page()),
        archive.counts,
        lambda: archive.dead_letters(DeadLetters(), limit=1),
        lambda: archive.dead_page(DeadLetters(), Page()),
        lambda: archive.dead_count(DeadLetters()),
        lambda: archive.parked_count(ALPHA),
    ]


def test_a_search_that_takes_too_long_says_so(tmp_path: Path) -> None:
    with broken(tmp_path, errorCode=50) as archive:
        for search in all_searches(archive):
            with pytest.raises(SearchTimeoutError, match="ask for less"):
                search()


def test_a_search_that_the_server_does_not_end_says_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_archive, "SEARCH_S", 0.5)

    with (
        broken(tmp_path, blockConnection=True, blockTimeMS=3000) as archive,
        pytest.raises(SearchTimeoutError),
    ):
        archive.find(Query(), Page())


def wait_until_stopped(pid: int) -> None:
    """A thread that is in the kernel stops a moment after the signal."""
    give_up = time.monotonic() + PATIENCE_S
    while any(
        " T " not in (task / "stat").read_text().rpartition(")")[2]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ):
        assert time.monotonic() < give_up, "it does not stop"
        time.sleep(0.01)


def test_a_frozen_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_archive, "SEARCH_S", 0.5)

    with (
        a_mongodb(tmp_path) as server,
        pymongo.MongoClient[dict[str, Any]](server.url, retryReads=False) as client,
    ):
        archive = MongoArchive(client["postroom"])
        archive.counts()
        server.pause()
        wait_until_stopped(server.pid)

        with pytest.raises(StoreUnavailableError):
            archive.find(Query(), Page())
        server.kill9()  # what was asked of it meanwhile would hold up its stop


def test_a_store_that_is_away_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_archive, "SEARCH_S", 0.5)

    with broken(tmp_path) as archive:
        for search in all_searches(archive):
            with pytest.raises(StoreUnavailableError):
                search()


#: A query of each filter that one owner's list knows.
ONE_OWNER: dict[str, Query] = {
    "": Query(owner="ada"),
    "state": Query(owner="ada", state=State.SENT),
    "to": Query(owner="ada", to="Ada@Example.com"),
    "tag": Query(owner="ada", tag="kind", tag_value="receipt"),
    "attempted": Query(owner="ada", attempted=ALPHA),
}


def conditions(query: Query) -> dict[str, Any]:
    """Give what is asked, but for what every email in a partial index fulfils."""
    return {k: v for k, v in to_query(query).items() if k not in ATTEMPTED}


class TestIndexes:
    """The order of an index serves the sort where equality is asked before `_id`.

    Not every server's planner shows it; what is asked and what is indexed does.
    """

    def test_each_filter_of_one_owner_is_named_with_its_index(self) -> None:
        assert SERVED_BY.keys() == {"", *ONE_AT_A_TIME}
        assert ONE_OWNER.keys() == SERVED_BY.keys()

    @pytest.mark.parametrize("name", SERVED_BY)
    def test_its_index_is_of_owner_filter_and_id(self, name: str) -> None:
        index, field = SERVED_BY[name]

        fields = [part for part, _ in INDEXES["emails"][index]]

        assert fields == ["owner", *([field] if field else []), "_id"]

    @pytest.mark.parametrize("name", SERVED_BY)
    def test_all_before_the_id_is_asked_for_as_one_value(self, name: str) -> None:
        _, field = SERVED_BY[name]

        asked = conditions(ONE_OWNER[name])

        assert asked.keys() == {"owner", *([field] if field else [])}
        assert all(isinstance(value, str) for value in asked.values())

    @pytest.mark.parametrize("name", SERVED_BY)
    def test_times_add_a_range_of_ids_and_nothing_that_an_index_must_know(
        self, name: str
    ) -> None:
        asked = ONE_OWNER[name]
        timed = replace(asked, created_after=at(-60), created_before=NOW)

        added = conditions(timed).keys() - conditions(asked).keys()

        assert added == {"_id", "created_at"}

    @pytest.mark.parametrize("name", SERVED_BY)
    def test_mongodb_walks_the_index_and_sorts_nothing(
        self, name: str, request: pytest.FixtureRequest
    ) -> None:
        if "MONGODB_URI" not in os.environ:
            pytest.skip("for a given MongoDB: others plan in other ways")
        database = request.getfixturevalue("mongo_database")
        MongoStore(database).ensure_indexes()
        asked = database["emails"].find(to_query(ONE_OWNER[name]))

        plan = str(asked.sort("_id", -1).limit(21).explain()["queryPlanner"])

        assert SERVED_BY[name][0] in plan
        assert "'SORT'" not in plan
