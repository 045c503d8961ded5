"""A page is checked before anybody searches for it, and a query says what fits."""

from typing import Any

import pytest

from postroom.domain.archive import DeadLetters, Page, Query
from postroom.domain.email import State
from postroom.domain.errors import InvalidValueError
from tests.builders import ALPHA, BETA, GAMMA, ID, an_attempt, an_email


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": 0}, "limit must be 1 to 100, got 0"),
        ({"limit": 101}, "limit must be 1 to 100, got 101"),
        ({"after": "x"}, "after must be the id"),
        ({"before": ID.upper() + "F"}, "before must be the id"),
        ({"after": ID, "before": ID}, "exclude each other"),
    ],
)
def test_what_is_no_page_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidValueError, match=told):
        Page(**given)


def test_the_largest_and_the_smallest_page_are_pages() -> None:
    assert Page(limit=1, after=ID).limit == 1
    assert Page(limit=100, before=ID).limit == 100


def test_an_attempt_somewhere_is_less_than_to_do_with_a_provider() -> None:
    email = an_email(
        attempts=(an_attempt(provider=ALPHA),), provider=ALPHA, parked_for=(BETA,)
    )

    asked = {name: Query(attempted=name) for name in (ALPHA, BETA, GAMMA)}
    anyhow = {name: Query(provider=name) for name in (ALPHA, BETA, GAMMA)}

    assert [name for name, query in asked.items() if query.admits(email)] == [ALPHA]
    assert [n for n, query in anyhow.items() if query.admits(email)] == [ALPHA, BETA]


@pytest.mark.parametrize("query", [Query, DeadLetters])
def test_another_owner_s_never_fit(query: type[Query | DeadLetters]) -> None:
    email = an_email(State.FAILED, owner="ada")

    fits = [query(owner=owner).admits(email) for owner in (None, "ada", "bob")]

    assert fits == [True, True, False]
