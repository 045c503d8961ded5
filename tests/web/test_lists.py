"""Lists of emails over HTTP: pages, filters, and what is refused."""

from typing import Any

import pytest

from postroom.adapters.memory_archive import MemoryArchive
from postroom.domain.archive import Found
from postroom.domain.email import State, Tag
from postroom.domain.errors import SearchTimeoutError, StoreUnavailableError
from tests.builders import ALPHA, a_content, a_recipient, an_attempt, an_email, at
from tests.web.stand import Stand, faults


def an_id(no: int) -> str:
    return f"{no:024x}"


def ids(stand: Stand, **params: Any) -> list[str]:
    answer = stand.get("/api/emails", params=params)
    assert answer.status_code == 200, answer.json
    return [email["id"] for email in answer.json["data"]]


def test_an_empty_list_is_a_list(stand: Stand) -> None:
    answer = stand.get("/api/emails")

    assert answer.status_code == 200
    assert answer.json == {"object": "list", "has_more": False, "data": []}


def test_the_newest_twenty_come_first_and_there_are_more(stand: Stand) -> None:
    for no in range(21):
        stand.store.insert(an_email(email_id=an_id(no)))

    answer = stand.get("/api/emails").json

    assert [email["id"] for email in answer["data"]] == [
        an_id(no) for no in range(20, 0, -1)
    ]
    assert answer["has_more"]


def test_pages_stay_as_they_are_while_emails_come_in(stand: Stand) -> None:
    for no in range(6):
        stand.store.insert(an_email(email_id=an_id(no)))
    first = ids(stand, limit=3)
    stand.store.insert(an_email(email_id=an_id(99)))

    second = ids(stand, limit=3, after=first[-1])

    assert first + second == [an_id(no) for no in (5, 4, 3, 2, 1, 0)]
    assert ids(stand, before=first[0]) == [an_id(99)]


def test_a_list_shows_what_is_worth_a_look_and_no_body(stand: Stand) -> None:
    stand.store.insert(
        an_email(
            State.SENT,
            content=a_content(tags=(Tag(name="kind", value="x"),), html="<p>"),
            sent_at=at(-3),
        )
    )

    (email,) = stand.get("/api/emails").json["data"]

    shown = ("from", "to", "subject", "state", "last_event", "sent_at", "tags")
    assert [email[name] for name in shown] == [
        "Acme <shop@acme.example>",
        ["ada@example.com"],
        "Hi",
        "sent",
        "sent",
        "2026-11-24T11:59:57.000Z",
        [{"name": "kind", "value": "x"}],
    ]
    assert not {"text", "html", "attachments", "headers"} & email.keys()


FILTERS = {
    "state": {"state": "sent"},
    "to": {"to": "BOB@example.com"},
    "named-to": {"to": "Bob <bob@example.com>"},
    "tag": {"tag": "kind"},
    "tag-with-value": {"tag": "kind=x"},
    "tag-with-an-empty-value": {"tag": "bare="},
    "provider": {"provider": "beta"},
    "after": {"created_after": "2026-11-24T12:00:01Z"},
    "before": {"created_before": "2026-11-24T11:00:00+01:00"},
    "times-go-with-any": {"state": "sent", "created_after": "2026-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_finds_what_it_says_and_nothing_of_another_owner(
    stand: Stand, name: str
) -> None:
    fitting: dict[str, Any] = {
        "created_at": at(60) if name == "after" else at(-10),
        "content": a_content(
            tags=(Tag(name="kind", value="x"), Tag(name="bare", value=""))
        ),
        "recipients": (a_recipient(addr_spec="bob@example.com"),),
        "attempts": (an_attempt(provider="beta"),),
    }
    if name == "before":
        fitting["created_at"] = at(-10_000)
    stand.store.insert(an_email(State.SENT, email_id=an_id(1), **fitting))
    stand.store.insert(an_email(State.SENT, email_id=an_id(2), **fitting, owner="bob"))
    stand.store.insert(
        an_email(email_id=an_id(3), attempts=(an_attempt(provider=ALPHA),))
    )

    assert ids(stand, **FILTERS[name]) == [an_id(1)]


def test_an_offset_s_plus_that_nobody_escaped_is_read_as_one(stand: Stand) -> None:
    stand.store.insert(an_email(created_at=at(0)))

    query = "created_after=2026-11-24T13:00:00+01:00"

    answer = stand.client.simulate_get("/api/emails", query_string=query)
    assert len(answer.json["data"]) == 1


WRONG = {
    "limit=0": ("limit", "invalid"),
    "limit=101": ("limit", "invalid"),
    "limit=-1": ("limit", "invalid"),
    "limit=ten": ("limit", "invalid"),
    "limit=%D9%A3": ("limit", "invalid"),
    "limit=": ("limit", "empty"),
    "limit=1&limit=2": ("limit", "duplicate"),
    "after=x": ("after", "invalid"),
    "before=65F000000000000000000001": ("before", "invalid"),
    "state=done": ("state", "not_a_choice"),
    "to=ada": ("to", "invalid_address"),
    "to=%20": ("to", "empty"),
    "tag=a%20b": ("tag", "invalid_name"),
    "tag==x": ("tag", "invalid_name"),
    "provider=%00": ("provider", "control_character"),
    "created_after=yesterday": ("created_after", "invalid_time"),
    "created_after=2030-01-31": ("created_after", "invalid_time"),
    "created_after=0001-01-01T00:00:00%2B23:00": ("created_after", "invalid_time"),
    "created_before=2030-01-31T09:00:00": ("created_before", "invalid_time"),
    "subject=Hi": ("subject", "unknown_field"),
    "offset=20": ("offset", "unknown_field"),
    "state=sent&to=ada@example.com": ("to", "conflict"),
    "tag=a&provider=b": ("provider", "conflict"),
    f"after={'0' * 24}&before={'0' * 24}": ("before", "conflict"),
}


@pytest.mark.parametrize("query", WRONG)
def test_what_is_wrong_is_refused_by_its_name(stand: Stand, query: str) -> None:
    answer = stand.client.simulate_get("/api/emails", query_string=query)

    assert answer.status_code == 400
    assert answer.json["name"] == "validation_error"
    assert faults(answer) == {WRONG[query]}


def test_every_fault_is_told_at_once(stand: Stand) -> None:
    answer = stand.get("/api/emails", params={"limit": "0", "x": "1", "state": "?"})

    assert {field for field, _ in faults(answer)} == {"limit", "x", "state"}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (SearchTimeoutError("slow"), "search_timeout"),
        (StoreUnavailableError("away"), "store_unavailable"),
    ],
)
def test_a_store_that_is_slow_or_away_is_503(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str
) -> None:
    def find(*_: object) -> Found:
        raise error

    monkeypatch.setattr(MemoryArchive, "find", find)

    answer = stand.get("/api/emails")

    assert (answer.status_code, answer.json["name"]) == (503, name)
    assert answer.headers["Retry-After"]
