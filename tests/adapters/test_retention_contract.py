"""One contract for what erases old email: on MongoDB, and the in-memory twin."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from postroom.adapters.memory_retention import MemoryRetention
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_retention import MongoRetention
from postroom.adapters.mongo_store import MongoStore
from postroom.domain import interventions
from postroom.domain.change import Change
from postroom.domain.email import FINAL_STATES, Attachment, Content, Email, State
from postroom.domain.ports import EmailStore
from postroom.domain.ports_retention import Retention
from postroom.domain.retention import erased, without_bodies
from tests.adapters.breakers.parts import at_once
from tests.builders import (
    ID,
    NOW,
    POLICY,
    a_content,
    a_full_content,
    a_held_email,
    a_parked_email,
    an_email,
    at,
    everything_set,
)

THREADS = 4
LARGE = "x" * (LARGEST_INLINE + 1)

#: Long before and long after all that is stored here.
EVER, NEVER = at(10**8), at(-(10**8))


@dataclass(frozen=True)
class Stand:
    """A store, what erases in it, and a look at its payloads."""

    store: EmailStore
    retention: Retention
    put_payload: Callable[[str, datetime], None]
    payloads: Callable[[], set[str]]

    def given(self, *emails: Email) -> Email:
        for email in emails:
            self.store.insert(email)
        return emails[-1]

    def loaded(self, email_id: str = ID) -> Email:
        email = self.store.load(email_id)
        assert email is not None
        return email

    def erase(self, change: Change) -> bool:
        return self.retention.erase([change]) == 1

    def final(self, instant: datetime = EVER, *, limit: int = 1000) -> list[str]:
        found = self.retention.final_before(instant, limit=limit)
        return [email.email_id for email in found]


def a_memory_stand() -> Stand:
    twin = MemoryRetention()
    return Stand(twin, twin, twin.payloads.__setitem__, lambda: set(twin.payloads))


def a_mongo_stand(database: Database[dict[str, Any]]) -> Stand:
    store = MongoStore(database)
    store.ensure_indexes()
    payloads = database["payloads"]

    def put(email_id: str, stored_at: datetime) -> None:
        payloads.insert_one({"_id": ObjectId(email_id), "at": stored_at, "text": "x"})

    def ids() -> set[str]:
        return {str(document["_id"]) for document in payloads.find({}, {"_id": 1})}

    return Stand(store, MongoRetention(database), put, ids)


@pytest.fixture(params=["memory", "mongo"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        return a_memory_stand()
    return a_mongo_stand(request.getfixturevalue("mongo_database"))


def an_id(no: int) -> str:
    return f"{no:024x}"


def erasing(email: Email) -> Change:
    return erased(email, now=NOW, keep_email=POLICY.keep_email)


def an_erased_email(state: State = State.SENT, **given: Any) -> Email:
    values = {"final_at": None, "erased_at": at(-5), "expires_at": NOW}
    content = without_bodies(a_content())
    return an_email(state, **({"content": content} | values | given))


def open_emails(**given: Any) -> list[Email]:
    """Give one in each open state, held and parked ones too."""
    states = [state for state in State if state not in FINAL_STATES]
    emails = [*map(an_email, states), a_held_email(), a_parked_email()]
    return [
        replace(email, email_id=an_id(100 + no), **given)
        for no, email in enumerate(emails)
    ]


class TestFinalBefore:
    def test_the_oldest_come_first_and_without_content(self, stand: Stand) -> None:
        for no, final_s in enumerate([30, -5, 10, 0]):
            final_at = at(final_s)
            stand.given(an_email(State.SENT, email_id=an_id(no), final_at=final_at))

        found = stand.retention.final_before(at(10), limit=10)

        assert [e.email_id for e in found] == [an_id(1), an_id(3), an_id(2)]
        assert all(e.content is None for e in found)
        assert stand.final(at(10), limit=2) == [an_id(1), an_id(3)]

    @pytest.mark.parametrize("state", sorted(FINAL_STATES))
    def test_every_final_state_is_found(self, stand: Stand, state: State) -> None:
        stand.given(an_email(state))

        assert stand.final() == [ID]

    def test_no_open_email_is_found_not_even_with_a_time(self, stand: Stand) -> None:
        """A process of another release may have left the time."""
        stand.given(*open_emails(), an_email(final_at=NEVER, due_at=None))

        assert stand.final() == []

    def test_what_is_erased_or_does_not_say_since_when_is_not_found(
        self, stand: Stand
    ) -> None:
        stand.given(an_erased_email(), an_email(State.SENT, email_id=an_id(1)))
        stand.given(an_email(State.SENT, email_id=an_id(2), final_at=None))

        assert stand.final() == [an_id(1)]


class TestErase:
    @pytest.mark.parametrize("text", ["short", LARGE])
    @pytest.mark.parametrize("state", sorted(FINAL_STATES))
    def test_bodies_and_attachments_go_and_all_else_stays(
        self, stand: Stand, state: State, text: str
    ) -> None:
        content = replace(a_full_content(), text=text)
        change = erasing(stand.given(an_email(state, content=content)))

        assert stand.erase(change)

        assert stand.loaded() == change.after
        assert _bodies(stand.loaded().content) == (None, None, ())
        assert stand.payloads() == set()

    def test_large_attachments_go_too(self, stand: Stand) -> None:
        file = Attachment(filename="a", content=b"x" * 100_000, content_type="a/b")
        email = an_email(State.SENT, content=a_content(attachments=(file,)))

        assert stand.erase(erasing(stand.given(email)))

        assert _bodies(stand.loaded().content) == (None, None, ())
        assert stand.payloads() == set()

    def test_an_email_as_it_was_found_is_erased_and_found_no_more(
        self, stand: Stand
    ) -> None:
        stand.given(an_email(State.SENT, content=a_full_content()))
        (found,) = stand.retention.final_before(EVER, limit=1)

        assert stand.erase(erasing(found))

        content = stand.loaded().content
        assert content == without_bodies(a_full_content())
        assert stand.final() == []

    def test_every_other_field_stays(self, stand: Stand) -> None:
        fields = {"state": State.FAILED, "due_at": None, "not_before": None}
        email = replace(everything_set(), **fields, final_at=at(-9), expires_at=None)

        change = erasing(stand.given(email))

        assert stand.erase(change)
        assert stand.loaded() == change.after

    @pytest.mark.parametrize("text", ["short", LARGE])
    def test_what_was_redriven_meanwhile_keeps_everything(
        self, stand: Stand, text: str
    ) -> None:
        email = stand.given(an_email(State.FAILED, content=a_content(text=text)))
        redriven = interventions.redriven(email, now=NOW, policy=POLICY)
        assert stand.store.apply(redriven)

        assert not stand.erase(erasing(email))

        assert stand.loaded() == redriven.after

    def test_one_that_is_gone_is_not_erased(self, stand: Stand) -> None:
        assert not stand.erase(erasing(an_email(State.SENT)))
        assert stand.store.load(ID) is None

    def test_of_many_at_once_those_are_erased_that_did_not_change(
        self, stand: Stand
    ) -> None:
        large = a_content(text=LARGE)
        emails = [
            an_email(State.FAILED, email_id=an_id(no), content=large)
            for no in range(120)
        ]
        stand.given(*emails)
        redriven = interventions.redriven(emails[3], now=NOW, policy=POLICY)
        assert stand.store.apply(redriven)

        erased_count = stand.retention.erase([erasing(email) for email in emails])

        assert erased_count == 119
        assert stand.loaded(an_id(3)) == redriven.after
        assert stand.loaded(an_id(119)) == erasing(emails[119]).after
        assert stand.payloads() <= {an_id(3)}
        assert stand.retention.erase([]) == 0

    @pytest.mark.parametrize("repeat", range(3))
    def test_of_many_processes_one_erases(self, stand: Stand, repeat: int) -> None:
        content = a_content(text=LARGE)
        change = erasing(stand.given(an_email(State.SENT, content=content)))

        won = at_once(*[lambda: stand.erase(change)] * THREADS)

        assert won.count(True) == 1
        assert stand.loaded() == change.after

    @pytest.mark.parametrize("repeat", range(5))
    def test_a_redrive_or_the_erasure_wins_and_never_both(
        self, stand: Stand, repeat: int
    ) -> None:
        email = stand.given(an_email(State.FAILED, content=a_content(text=LARGE)))
        redriven = interventions.redriven(email, now=NOW, policy=POLICY)

        won = at_once(
            lambda: stand.erase(erasing(email)),
            lambda: stand.store.apply(redriven),
        )

        assert sorted(won) == [False, True]
        kept = _bodies(stand.loaded().content) == (LARGE, None, ())
        assert kept is (stand.loaded().state is State.QUEUED)


class TestRemoveExpired:
    @pytest.mark.parametrize("state", sorted(FINAL_STATES))
    def test_a_record_goes_when_its_time_has_come(
        self, stand: Stand, state: State
    ) -> None:
        stand.given(an_erased_email(state))

        assert stand.retention.remove_expired(at(-1), limit=10) == 0
        assert stand.retention.remove_expired(NOW, limit=10) == 1
        assert stand.store.load(ID) is None

    def test_an_open_email_stays_whatever_its_time(self, stand: Stand) -> None:
        emails = open_emails(expires_at=NEVER)
        stand.given(*emails)

        assert stand.retention.remove_expired(EVER, limit=10) == 0
        assert [stand.loaded(email.email_id) for email in emails] == emails

    def test_what_is_not_erased_yet_has_no_time_and_stays(self, stand: Stand) -> None:
        stand.given(an_email(State.SENT))

        assert stand.retention.remove_expired(EVER, limit=10) == 0

    def test_no_more_than_the_limit_at_once(self, stand: Stand) -> None:
        stand.given(*(an_erased_email(email_id=an_id(no)) for no in range(5)))

        gone = [stand.retention.remove_expired(NOW, limit=2) for _ in range(4)]

        assert gone == [2, 2, 1, 0]

    def test_many_processes_remove_each_record_once(self, stand: Stand) -> None:
        stand.given(*(an_erased_email(email_id=an_id(no)) for no in range(40)))

        gone = at_once(
            *[lambda: stand.retention.remove_expired(NOW, limit=30)] * THREADS
        )

        left = stand.retention.remove_expired(NOW, limit=40)
        assert sum(gone) + left == 40


class TestRemoveOrphans:
    def test_a_payload_whose_email_never_came_goes(self, stand: Stand) -> None:
        stand.put_payload(an_id(1), at(-1))

        assert stand.retention.remove_orphans(NOW, limit=10) == 1
        assert stand.payloads() == set()

    def test_a_young_one_stays_its_email_may_still_come(self, stand: Stand) -> None:
        stand.put_payload(an_id(1), NOW)

        assert stand.retention.remove_orphans(NOW, limit=10) == 0
        assert stand.payloads() == {an_id(1)}

    def test_one_whose_email_was_erased_goes(self, stand: Stand) -> None:
        """The process ended between the two writes."""
        stand.given(an_erased_email())
        stand.put_payload(ID, at(-1))

        assert stand.retention.remove_orphans(NOW, limit=10) == 1
        assert stand.payloads() == set()

    def test_no_email_loses_its_payload_whatever_its_state_or_age(
        self, stand: Stand
    ) -> None:
        large = a_content(text=LARGE)
        emails = [replace(e, content=large) for e in open_emails()]
        emails += [
            an_email(state, email_id=an_id(no), content=large)
            for no, state in enumerate(sorted(FINAL_STATES))
        ]
        stand.given(*emails)

        assert stand.retention.remove_orphans(EVER, limit=1000) == 0
        assert [stand.loaded(email.email_id) for email in emails] == emails

    def test_no_payload_of_an_open_email_goes_even_if_it_is_not_referred_to(
        self, stand: Stand
    ) -> None:
        emails = open_emails()
        stand.given(*emails)
        for email in emails:
            stand.put_payload(email.email_id, NEVER)

        assert stand.retention.remove_orphans(EVER, limit=1000) == 0
        assert len(stand.payloads()) == len(emails)

    def test_a_few_calls_come_to_all_of_them(self, stand: Stand) -> None:
        """Many of one instant, and more than fit into one question."""
        for no in range(20):
            content = a_content(text=LARGE)
            created_at = at(-20 + no)
            email_id = an_id(no)
            stand.given(
                an_email(content=content, email_id=email_id, created_at=created_at)
            )
        for no in range(150):
            stand.put_payload(an_id(1000 + no), at(-200 if no < 120 else -no / 10))

        removed = sum(stand.retention.remove_orphans(NOW, limit=40) for _ in range(8))

        assert removed == 150
        assert not {an_id(1000 + no) for no in range(150)} & stand.payloads()


def _bodies(content: Content | None) -> tuple[Any, ...]:
    assert content is not None
    return content.text, content.html, content.attachments
