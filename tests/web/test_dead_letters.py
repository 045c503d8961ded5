"""Dead letters over HTTP: listed to their owner, and let go again."""

from typing import Any

import falcon.testing
import pytest

from postroom.domain.email import State
from tests.builders import ID, an_email, at
from tests.web.stand import Stand, faults


def an_id(no: int) -> str:
    return f"{no:024x}"


def given(stand: Stand) -> None:
    """Store three dead letters, one of another owner, and an email that is none."""
    for no, reason in enumerate(("expired", "refused", "expired")):
        stand.store.insert(
            an_email(
                State.FAILED, email_id=an_id(no), reason=reason, dead_at=at(no - 10)
            )
        )
    stand.store.insert(an_email(State.FAILED, email_id=an_id(7), owner="bob"))
    stand.store.insert(an_email(State.SENT, email_id=an_id(8)))


def listed(stand: Stand, **params: Any) -> list[str]:
    answer = stand.get("/api/dead-letters", params=params)
    assert answer.status_code == 200, answer.json
    return [email["id"] for email in answer.json["data"]]


def replay(stand: Stand, body: object = None) -> falcon.testing.Result:
    json = {} if body is None else {"json": body}
    return stand.client.simulate_post("/api/dead-letters/replay", **json)


def test_the_owner_s_are_listed_newest_first_and_page_by_page(stand: Stand) -> None:
    given(stand)

    assert listed(stand) == [an_id(2), an_id(1), an_id(0)]
    assert listed(stand, limit=1, after=an_id(2)) == [an_id(1)]
    assert listed(stand, before=an_id(1)) == [an_id(2)]


def test_they_are_found_by_reason_provider_and_time_together(stand: Stand) -> None:
    given(stand)

    assert listed(stand, reason="expired") == [an_id(2), an_id(0)]
    assert listed(stand, reason="expired", since="2026-11-24T11:59:52Z") == [an_id(2)]
    assert listed(stand, provider="alpha", reason="refused") == [an_id(1)]
    assert listed(stand, provider="beta") == []


def test_each_says_why_and_since_when(stand: Stand) -> None:
    stand.store.insert(an_email(State.FAILED, reason="expired"))

    (letter,) = stand.get("/api/dead-letters").json["data"]

    assert (letter["id"], letter["reason"]) == (ID, "expired")
    assert letter["dead_at"] == "2026-11-24T11:59:50.000Z"


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("state=failed", ("state", "unknown_field")),
        ("since=2h", ("since", "invalid_time")),
        ("limit=0", ("limit", "invalid")),
        ("reason=" + "x" * 257, ("reason", "too_long")),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(
    stand: Stand, query: str, fault: tuple[str, str]
) -> None:
    answer = stand.client.simulate_get("/api/dead-letters", query_string=query)

    assert answer.status_code == 400
    assert faults(answer) == {fault}


def test_all_of_the_owner_s_go_again(stand: Stand) -> None:
    given(stand)

    answer = replay(stand)

    assert answer.status_code == 200
    assert answer.json == {
        "object": "replay",
        "dry_run": False,
        "found": 3,
        "has_more": False,
        "replayed": [an_id(0), an_id(1), an_id(2)],
        "refused": [],
        "stopped": None,
    }
    states = {email.email_id: email.state for email in stand.store.all()}
    assert [states[an_id(no)] for no in (0, 1, 2, 7)] == ["queued"] * 3 + ["failed"]


def test_a_dry_run_counts_and_does_nothing(stand: Stand) -> None:
    given(stand)

    answer = replay(stand, {"dry_run": True, "reason": "expired", "limit": 1})

    assert (answer.json["found"], answer.json["has_more"]) == (1, True)
    assert answer.json["replayed"] == []
    assert len(listed(stand)) == 3


def test_a_limit_may_be_written_as_json_writes_whole_numbers(stand: Stand) -> None:
    given(stand)

    assert replay(stand, {"limit": 2.0}).json["found"] == 2


def test_a_filter_leaves_the_others(stand: Stand) -> None:
    given(stand)

    body = {"reason": "expired", "since": "2026-11-24T11:59:52Z", "provider": "alpha"}

    assert replay(stand, body).json["replayed"] == [an_id(2)]
    assert listed(stand) == [an_id(1), an_id(0)]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"limit": 0}, ("limit", "invalid")),
        ({"limit": 101}, ("limit", "invalid")),
        ({"limit": True}, ("limit", "wrong_type")),
        ({"limit": 1.5}, ("limit", "wrong_type")),
        ({"since": "now"}, ("since", "invalid_time")),
        ({"since": 5}, ("since", "wrong_type")),
        ({"reason": ""}, ("reason", "empty")),
        ({"dry_run": "true"}, ("dry_run", "wrong_type")),
        ({"owner": "bob"}, ("owner", "unknown_field")),
    ],
)
def test_a_wrong_order_is_refused_by_its_name(
    stand: Stand, body: dict[str, Any], fault: tuple[str, str]
) -> None:
    answer = replay(stand, body)

    assert answer.status_code == 400
    assert faults(answer) == {fault}
