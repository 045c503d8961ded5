"""Emails as documents: what is stored, and what of it a write touches."""

from dataclasses import replace
from typing import Any

import pytest

from postroom.adapters.mongo_codec import (
    CONTENT_FIELDS,
    from_document,
    to_document,
    to_update,
)
from postroom.domain import lifecycle
from postroom.domain.email import State
from postroom.domain.settling import record
from tests.builders import (
    ACCEPTED,
    ALPHA,
    NOW,
    POLICY,
    a_content,
    a_held_email,
    a_parked_email,
    a_result,
    an_attempt,
    an_email,
    at,
    everything_set,
)


def test_every_field_goes_there_and_back() -> None:
    email = everything_set()

    assert from_document(to_document(email)) == email


@pytest.mark.parametrize("state", State)
def test_what_is_not_there_is_not_stored(state: State) -> None:
    document = to_document(an_email(state))

    assert all(value is not None for value in document.values())
    assert from_document(document) == an_email(state)


@pytest.mark.parametrize(
    "email", [an_email(State.SENT), an_email(State.FAILED), a_held_email()]
)
def test_what_the_sweep_must_not_see_has_no_due_at(email: Any) -> None:
    assert "due_at" not in to_document(email)


def test_only_what_is_parked_is_in_the_index_of_the_parked() -> None:
    assert "parked_for" not in to_document(an_email())
    assert to_document(a_parked_email(ALPHA))["parked_for"] == [ALPHA]


def test_a_clients_words_are_values_and_never_names_of_fields() -> None:
    document = to_document(everything_set())

    assert {"name": "order.id", "value": "7"} in document["metadata"]
    assert {"name": "$where", "value": "1"} in document["metadata"]
    assert {"name": "X-A.b", "value": "dotted"} in document["headers"]


def test_content_stands_in_the_fields_that_the_sweep_leaves_out() -> None:
    email = everything_set()
    document = to_document(email)
    without = {n: v for n, v in document.items() if n not in CONTENT_FIELDS}

    assert from_document(without) == replace(email, content=None)
    assert to_document(replace(email, content=None)) == without


def test_what_a_newer_release_added_is_ignored() -> None:
    document = to_document(everything_set()) | {"new": 1, "payload": False}
    for part in (
        document["routing"],
        *document["recipients"],
        *document["attempts"],
        *document["possible_duplicates"],
        document["from"],
    ):
        part["new"] = {"of": "theirs"}

    assert from_document(document) == everything_set()


def test_a_document_of_the_bare_fields_is_read() -> None:
    """What has a default may be missing."""
    document = to_document(an_email())
    for name in ("offers", "round", "first_round", "redrives"):
        del document[name]

    assert from_document(document) == an_email()


def test_whom_an_attempt_refused_is_stored_where_it_refused_somebody() -> None:
    """Attempts of older releases, and most of all others, have no such field."""
    refusals, in_hand = to_document(everything_set())["attempts"]

    assert refusals["refused"] == [1]
    assert "refused" not in in_hand


class TestUpdate:
    def test_a_claim_writes_the_new_attempt_and_what_it_moves(self) -> None:
        email = an_email(attempts=(an_attempt(ACCEPTED),))
        change = lifecycle.claim(
            email, provider=ALPHA, attempt_id="new", now=NOW, policy=POLICY
        )

        update = to_update(change)

        assert set(update) == {"$set"}
        assert set(update["$set"]) == {
            "state",
            "fence",
            "due_at",
            "offers",
            "updated_at",
            "attempts.1",
        }
        assert update["$set"]["attempts.1"] == {
            "id": "new",
            "no": 2,
            "round": 1,
            "provider": ALPHA,
            "recipients": [0],
            "started_at": NOW,
            "outcome": "unknown",
        }

    def test_a_record_writes_its_own_attempt_only(self) -> None:
        attempts = (an_attempt(ACCEPTED, id="older"), an_attempt(no=2))
        email = an_email(State.SENDING, attempts=attempts)
        change = record(
            email,
            a_result(ACCEPTED, attempt_id="attempt-2"),
            now=NOW,
            policy=POLICY,
        )
        assert change is not None

        update = to_update(change)

        assert "attempts.1" in update["$set"]
        assert "attempts.0" not in update["$set"]
        assert set(update["$unset"]) == {"not_before", "due_at"}

    def test_an_offer_writes_two_fields(self) -> None:
        email = an_email(due_at=NOW)

        update = to_update(lifecycle.offered(email, now=NOW, policy=POLICY))

        assert update == {"$set": {"due_at": at(60), "offers": 1}}

    def test_what_is_over_is_taken_away(self) -> None:
        change = lifecycle.queued(
            a_parked_email(ALPHA), now=NOW, wait=NOW - NOW, policy=POLICY
        )

        assert set(to_update(change)["$unset"]) == {"waiting_for", "parked_for"}

    def test_every_other_move_sets_the_offers_back(self) -> None:
        """An offer may have come between the read and the write."""
        change = lifecycle.corrected(an_email(due_at=NOW, offers=0), now=NOW)

        assert to_update(change)["$set"] == {
            "fence": 1,
            "updated_at": NOW,
            "offers": 0,
            "due_at": NOW,
        }

    def test_no_write_touches_the_content(self) -> None:
        email = everything_set()
        after = replace(email, content=a_content(), fence=8)
        change = replace(lifecycle.corrected(email, now=NOW), after=after)

        touched = {
            name.split(".")[0] for part in to_update(change).values() for name in part
        }

        assert not touched & {*CONTENT_FIELDS, "payload"}
