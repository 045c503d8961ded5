"""An operator sees the emails of every owner."""

import pytest

from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.archive import DeadLetters, Page, Query
from postroom.domain.email import State
from postroom.domain.errors import EmailNotFoundError
from postroom.services.find import Find
from tests.builders import ID, an_email

OTHER = "65f000000000000000000002"


@pytest.fixture
def find() -> Find:
    store = MemoryStore()
    store.insert(an_email(owner="ada"))
    store.insert(an_email(State.FAILED, email_id=OTHER, owner="bob"))
    return Find(store=store, archive=MemoryArchive(store))


def test_one_email_is_shown_whoever_owns_it(find: Find) -> None:
    assert find.one(ID).owner == "ada"
    assert find.one(OTHER).content is not None


@pytest.mark.parametrize("email_id", ["0" * 24, "", "x", ID.upper() + " "])
def test_what_is_not_there_is_not_found(find: Find, email_id: str) -> None:
    with pytest.raises(EmailNotFoundError):
        find.one(email_id)


def test_a_list_has_those_of_all_owners(find: Find) -> None:
    found = find(Query(), Page())

    assert [email.owner for email in found.emails] == ["bob", "ada"]


def test_dead_letters_are_a_list_of_their_own(find: Find) -> None:
    found = find.dead_letters(DeadLetters(), limit=9)

    assert [email.email_id for email in found.emails] == [OTHER]
