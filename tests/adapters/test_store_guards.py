"""What a guard admits: to MongoDB, to its twin and to the domain the same."""

import itertools
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pymongo.database import Database

from postroom.adapters.mongo_codec import to_document, to_filter
from postroom.domain.change import Change, Guard
from postroom.domain.email import CLAIMABLE, Email, RecipientState, State
from postroom.domain.ports import EmailStore
from tests.adapters.stored import a_claim, an_id, an_offer, loaded
from tests.builders import ID, NOW, a_recipient, an_email, at

INSTANTS: list[datetime | None] = [None, at(-1), NOW, at(1)]

GUARDS = {
    "fence": Guard(fence=0, states=frozenset(State)),
    "another-fence": Guard(fence=1, states=frozenset(State)),
    "states": Guard(fence=0, states=CLAIMABLE),
    "no-state": Guard(fence=0, states=frozenset()),
    "not-before": Guard(fence=0, states=frozenset(State), not_before_by=NOW),
    "due-at": Guard(fence=0, states=frozenset(State), due_at=NOW),
    "pending": Guard(fence=0, states=frozenset(State), pending=(0,)),
    "both-pending": Guard(fence=0, states=frozenset(State), pending=(0, 1)),
    "claim": a_claim(an_email()).guard,
    "offer": an_offer(an_email(due_at=NOW)).guard,
}


def all_stored() -> list[Email]:
    words = itertools.product(RecipientState, repeat=2)
    told = [tuple(a_recipient(state=word) for word in pair) for pair in words]
    facts = itertools.product(State, INSTANTS, INSTANTS, told)
    return [
        an_email(
            state,
            email_id=an_id(no),
            not_before=not_before,
            due_at=due_at,
            recipients=recipients,
            fence=0,
        )
        for no, (state, not_before, due_at, recipients) in enumerate(facts)
    ]


def test_mongodbs_filter_admits_what_the_guard_admits(
    mongo_database: Database[dict[str, Any]],
) -> None:
    """Over all states, instants and histories, for each kind of guard."""
    emails = all_stored()
    collection = mongo_database["emails"]
    collection.insert_many([to_document(email) for email in emails])

    for name, guard in GUARDS.items():
        query = to_filter(ID, guard)
        del query["_id"]
        found = {str(d["_id"]) for d in collection.find(query, {"_id": 1})}
        admitted = {email.email_id for email in emails if guard.admits(email)}
        assert found == admitted, name


@pytest.mark.parametrize("name", GUARDS)
def test_both_stores_write_what_the_guard_admits(store: EmailStore, name: str) -> None:
    for email in all_stored()[::37]:
        store.insert(email)
        after = replace(email, fence=email.fence + 1)

        written = store.apply(Change(guard=GUARDS[name], before=email, after=after))

        assert written is GUARDS[name].admits(email)
        assert loaded(store, email.email_id).fence == (1 if written else 0)
