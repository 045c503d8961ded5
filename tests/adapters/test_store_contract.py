"""One contract, two stores: MongoDB and its in-memory twin."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.domain import interventions, lifecycle
from postroom.domain.change import Change
from postroom.domain.email import Attachment, Email, Priority, State
from postroom.domain.outcome import Accepted, RecipientRefusal, RefusalKind
from postroom.domain.ports import EmailStore
from postroom.domain.settling import record
from tests.adapters.breakers.parts import at_once
from tests.adapters.stored import THREADS, a_claim, an_id, an_offer, inserted, loaded
from tests.builders import (
    ALPHA,
    BETA,
    ID,
    NOW,
    OUTCOMES,
    POLICY,
    a_content,
    a_full_content,
    a_parked_email,
    a_recipient,
    a_result,
    an_attempt,
    an_email,
    at,
    everything_set,
    seconds,
)


class TestInsertAndLoad:
    @pytest.mark.parametrize("state", State)
    def test_an_email_comes_back_as_it_went_in(
        self, store: EmailStore, state: State
    ) -> None:
        email = inserted(store, an_email(state))

        assert store.load(ID) == email

    def test_every_field_comes_back(self, store: EmailStore) -> None:
        email = inserted(store, everything_set())

        assert store.load(ID) == email

    @pytest.mark.parametrize("part", ["text", "html"])
    @pytest.mark.parametrize("size", [LARGEST_INLINE, LARGEST_INLINE + 1])
    def test_a_large_text_comes_back(
        self, store: EmailStore, part: str, size: int
    ) -> None:
        content = a_content(**{"text": None, part: "x" * size})
        email = inserted(store, an_email(content=content))

        assert store.load(ID) == email

    def test_ten_megabytes_of_attachments_come_back(self, store: EmailStore) -> None:
        attachments = tuple(
            Attachment(
                filename=f"{no}.bin",
                content=bytes([no]) * 2_500_000,
                content_type="application/octet-stream",
            )
            for no in range(4)
        )
        content = replace(a_full_content(), attachments=attachments)
        email = inserted(store, an_email(content=content))

        assert store.load(ID) == email

    def test_a_large_email_is_moved_along_like_any_other(
        self, store: EmailStore
    ) -> None:
        content = a_content(text="x" * 100_000)
        email = inserted(store, an_email(content=content))

        assert store.apply(a_claim(email))
        assert loaded(store).content == content
        assert loaded(store).state is State.SENDING

    @pytest.mark.parametrize("text", ["", "é€😀", "a\r\nb\x00c", "$set.{}"])
    def test_any_text_comes_back(self, store: EmailStore, text: str) -> None:
        content = a_content(
            subject=text, text=text, metadata={text: text}, headers={text: text}
        )
        email = inserted(store, an_email(content=content))

        assert store.load(ID) == email

    @pytest.mark.parametrize("email_id", [ID, "", "x", "0" * 23, "é" * 24, "0" * 25])
    def test_what_is_not_there_is_none(self, store: EmailStore, email_id: str) -> None:
        assert store.load(email_id) is None

    def test_a_repeated_insert_changes_nothing(self, store: EmailStore) -> None:
        email = inserted(store, an_email(content=a_content(text="x" * 100_000)))
        assert store.apply(a_claim(email))

        store.insert(email)

        assert loaded(store).state is State.SENDING

    def test_the_same_insert_from_many_threads_is_one(self, store: EmailStore) -> None:
        email = an_email()

        at_once(*[lambda: store.insert(email)] * THREADS)

        assert store.load(ID) == email

    def test_it_is_writable(self, store: EmailStore) -> None:
        assert store.is_writable()


class TestApply:
    def test_a_change_that_fits_is_written_whole(self, store: EmailStore) -> None:
        change = a_claim(inserted(store, an_email()))

        assert store.apply(change)
        assert store.load(ID) == change.after

    def test_one_that_does_not_fit_changes_nothing(self, store: EmailStore) -> None:
        email = inserted(store, an_email(fence=3))

        assert not store.apply(a_claim(replace(email, fence=2)))
        assert store.load(ID) == email

    def test_one_that_is_tried_again_is_known_to_be_written(
        self, store: EmailStore
    ) -> None:
        change = a_claim(inserted(store, an_email()))
        assert store.apply(change)

        assert store.apply(change)
        assert not store.apply(a_claim(change.before, attempt_id="another"))
        assert store.load(ID) == change.after

    def test_an_offer_that_is_tried_again_is_not(self, store: EmailStore) -> None:
        change = an_offer(inserted(store, an_email()))
        assert store.apply(change)

        assert not store.apply(change)

    def test_one_to_an_email_that_is_not_there_is_not_written(
        self, store: EmailStore
    ) -> None:
        assert not store.apply(a_claim(an_email()))
        assert store.load(ID) is None

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_every_outcome_is_written_as_the_domain_decided(
        self, store: EmailStore, name: str
    ) -> None:
        email = inserted(store, an_email(State.SENDING))
        change = record(email, a_result(OUTCOMES[name]), now=NOW, policy=POLICY)
        assert change is not None

        assert store.apply(change, patience=seconds(5))
        assert store.load(ID) == change.after

    def test_whom_an_attempt_turned_away_is_written(self, store: EmailStore) -> None:
        attempt = an_attempt(recipients=(0, 1))
        two = (a_recipient(), a_recipient(addr_spec="bob@example.com"))
        email = inserted(
            store, an_email(State.SENDING, attempts=(attempt,), recipients=two)
        )
        refusal = RecipientRefusal(index=1, kind=RefusalKind.TRANSIENT, code="450")
        outcome = Accepted(provider_message_id="m", refused=(refusal,))
        change = record(email, a_result(outcome), now=NOW, policy=POLICY)
        assert change is not None

        assert store.apply(change)
        assert store.load(ID) == change.after
        assert loaded(store).attempts[0].refused == (1,)

    def test_a_whole_life_is_written_step_by_step(self, store: EmailStore) -> None:
        email = inserted(store, an_email(State.SCHEDULED, content=a_full_content()))
        steps: list[Callable[[Email], Change]] = [
            an_offer,
            lambda e: lifecycle.park(
                e,
                until=NOW,
                providers=(ALPHA, BETA),
                is_probe=True,
                now=NOW,
                policy=POLICY,
            ),
            a_claim,
            lambda e: lifecycle.unknown(e, now=NOW, until=at(30)),
            lambda e: lifecycle.unknown(e, now=NOW, until=None),
            lambda e: lifecycle.queued(
                e, now=NOW, wait=seconds(0), policy=POLICY, new_round=True
            ),
            lambda e: a_claim(e, "newer"),
            lambda e: lifecycle.failed(e, reason="expired", now=NOW, detail="old"),
            lambda e: interventions.redriven(e, now=NOW, policy=POLICY),
            lambda e: a_claim(e, "newest"),
            lambda e: lifecycle.sent(e, now=NOW),
            lambda e: lifecycle.corrected(e, now=NOW),
        ]

        for step in steps:
            change = step(email)
            assert store.apply(change)
            email = loaded(store)
            assert email == change.after

    def test_a_change_read_without_content_loses_none(self, store: EmailStore) -> None:
        email = inserted(store, an_email(due_at=at(-1)))
        (bare,) = store.due(NOW, limit=1)

        assert store.apply(an_offer(bare))
        assert loaded(store).content == email.content

    def test_a_write_from_before_an_offer_undoes_its_count(
        self, store: EmailStore
    ) -> None:
        email = inserted(store, an_email(due_at=NOW))
        assert store.apply(an_offer(email))

        assert store.apply(lifecycle.corrected(email, now=NOW))

        assert (loaded(store).offers, loaded(store).due_at) == (0, NOW)


class TestMany:
    """Several changes in one trip are what they are one by one."""

    def test_each_is_written_where_its_guard_holds(self, store: EmailStore) -> None:
        ids = [f"{no:024x}" for no in range(5)]
        emails = [inserted(store, an_email(email_id=i, due_at=NOW)) for i in ids]
        changes = [an_offer(email) for email in emails]
        taken = a_claim(emails[1])
        assert store.apply(taken)

        written = store.apply_all([*changes, an_offer(an_email(email_id="f" * 24))])

        assert list(written) == [True, False, True, True, True, False]
        assert store.load(ids[1]) == taken.after
        assert store.load(ids[2]) == changes[2].after

    def test_all_of_them_or_none(self, store: EmailStore) -> None:
        email = inserted(store, an_email(due_at=NOW))

        assert list(store.apply_all([])) == []
        assert list(store.apply_all([an_offer(email)])) == [True]
        assert loaded(store).offers == 1

    def test_what_moved_on_since_is_left_alone(self, store: EmailStore) -> None:
        email = inserted(store, an_email(due_at=NOW))
        first = an_offer(email)
        assert store.apply(first)
        assert store.apply(an_offer(first.after))

        assert list(store.apply_all([first])) == [False]
        assert loaded(store).offers == 2


class TestDue:
    def test_the_earliest_come_first_and_without_content(
        self, store: EmailStore
    ) -> None:
        for no, due_s in enumerate([30, -5, 10, 0]):
            store.insert(an_email(email_id=an_id(no), due_at=at(due_s)))

        due = store.due(at(10), limit=10)

        assert [e.email_id for e in due] == [an_id(1), an_id(3), an_id(2)]
        assert all(e.content is None for e in due)

    def test_no_more_than_the_limit(self, store: EmailStore) -> None:
        for no in range(5):
            store.insert(an_email(email_id=an_id(no), due_at=at(no)))

        assert [e.email_id for e in store.due(at(9), limit=2)] == [an_id(0), an_id(1)]

    def test_what_has_no_time_is_never_due(self, store: EmailStore) -> None:
        store.insert(an_email(State.SENT))

        assert list(store.due(at(10**9), limit=10)) == []

    def test_what_comes_has_all_but_its_content(self, store: EmailStore) -> None:
        email = replace(everything_set(), due_at=NOW)
        store.insert(email)

        assert list(store.due(NOW, limit=1)) == [replace(email, content=None)]

    def test_a_large_email_is_listed_too(self, store: EmailStore) -> None:
        content = a_content(text="x" * 100_000)
        store.insert(an_email(due_at=NOW, content=content))

        assert [e.content for e in store.due(NOW, limit=1)] == [None]

    def test_what_fell_due_lately_is_found_behind_what_did_not(
        self, store: EmailStore
    ) -> None:
        wanted = [
            inserted(store, an_email(email_id=an_id(1), due_at=at(5))),
            inserted(store, an_email(State.SENDING, email_id=an_id(2), due_at=at(6))),
        ]
        inserted(store, an_email(email_id=an_id(3), due_at=at(0)))
        inserted(store, an_email(email_id=an_id(4), due_at=at(99)))
        inserted(store, an_email(email_id=an_id(5), due_at=at(5), offers=1))
        low = an_email(email_id=an_id(6), due_at=at(5), priority=Priority.LOW)
        inserted(store, low)

        found = store.due(at(9), since=at(0), limit=10)

        assert [e.email_id for e in found] == [each.email_id for each in wanted]


class TestParked:
    def test_the_oldest_come_first_and_without_content(self, store: EmailStore) -> None:
        for no in (3, 1, 2):
            store.insert(a_parked_email(ALPHA, BETA, email_id=an_id(no)))
        store.insert(a_parked_email(ALPHA, email_id=an_id(4)))

        parked = store.parked(BETA, limit=2)

        assert [e.email_id for e in parked] == [an_id(1), an_id(2)]
        assert all(e.content is None for e in parked)
        assert len(store.parked(ALPHA, limit=9)) == 4

    def test_what_waits_is_made_due_and_nothing_else(self, store: EmailStore) -> None:
        waits = inserted(store, an_email(email_id=an_id(1), not_before=at(30)))
        others = [
            inserted(store, an_email(email_id=an_id(2), due_at=at(-5))),
            inserted(store, an_email(email_id=an_id(3), not_before=at(60))),
            inserted(store, a_parked_email(ALPHA, email_id=an_id(4))),
            inserted(store, an_email(State.SENDING, email_id=an_id(5))),
            inserted(store, an_email(State.SENT, email_id=an_id(6))),
        ]

        store.hasten(NOW, before=at(60))

        assert store.load(an_id(1)) == replace(waits, due_at=NOW)
        assert [store.load(e.email_id) for e in others] == others

    def test_what_is_made_due_is_claimed_as_before(self, store: EmailStore) -> None:
        claim = a_claim(inserted(store, an_email()))

        store.hasten(NOW, before=at(60))

        assert store.apply(claim)
        assert loaded(store) == claim.after

    def test_what_was_let_go_is_parked_no_more(self, store: EmailStore) -> None:
        email = inserted(store, a_parked_email(ALPHA))

        assert store.apply(
            lifecycle.queued(email, now=NOW, wait=seconds(0), policy=POLICY)
        )

        assert list(store.parked(ALPHA, limit=9)) == []
