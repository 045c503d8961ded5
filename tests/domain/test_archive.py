"""A page is checked before anybody searches for it."""

from typing import Any

import pytest

from postroom.domain.archive import Page
from postroom.domain.errors import InvalidValueError
from tests.builders import ID


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
