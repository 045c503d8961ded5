"""`Idempotency-Key`: the same request is one request, whatever way it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email
from postroom.domain.errors import KeyInUseError, StorageUnsureError
from postroom.domain.idempotency import Receipt
from tests.web import stand as stands
from tests.web.stand import Stand, a_body

EMAILS, BATCH = "/api/emails", "/api/emails/batch"


@pytest.fixture
def stand() -> Stand:
    return Stand()


def post(
    stand: Stand, body: object, key: str = "k", path: str = EMAILS, **headers: str
) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return stand.client.simulate_post(
        path, json=body, headers={"Idempotency-Key": key} | named
    )


def count(stand: Stand) -> int:
    assert isinstance(stand.store, MemoryStore)
    return len(stand.store.all())


@pytest.mark.parametrize(
    ("path", "body", "status"), [(EMAILS, a_body(), 201), (BATCH, [a_body()] * 3, 200)]
)
def test_a_repeated_request_gets_the_first_answer_again(
    stand: Stand, path: str, body: Any, status: int
) -> None:
    first = post(stand, body, path=path)
    emails = count(stand)
    again = post(stand, body, path=path)

    assert first.status_code == again.status_code == status
    assert again.content == first.content
    assert again.headers.get("location") == first.headers.get("location")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert count(stand) == emails == len(stand.hints.hinted)


def test_a_permissive_batch_gets_its_errors_again(stand: Stand) -> None:
    body = [a_body(), {}, a_body(to=["nobody"])]
    given = {"path": BATCH, "x_batch_validation": "permissive"}

    first, again = (post(stand, body, **given) for _ in range(2))

    assert [each["index"] for each in first.json["errors"]] == [1, 2]
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert count(stand) == 1


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (a_body(), dict(reversed(a_body().items()))),
        (a_body(), a_body(cc=None, html=None, headers=None)),
        (a_body(), a_body(cc=[], headers={}, tags=[], html="")),
        (a_body(), a_body(to="ada@example.com")),
        (a_body(), a_body(**{"from": "Acme<hello@ACME.example>"})),
        (a_body(), a_body(subject=..., title="Hi", text=..., content="Hello")),
        (a_body(), a_body(priority="normal", delivery="at_least_once")),
        (
            a_body(scheduled_at="2030-02-01T10:00:00+01:00"),
            a_body(scheduled_at="2030-02-01T09:00:00Z"),
        ),
        (a_body(scheduled_at="in 5 minutes"), a_body(scheduled_at="in 300 seconds")),
        (
            a_body(attachments=[{"filename": "a.txt", "content": "YQ=="}]),
            a_body(attachments=[{"filename": "a.txt", "content": [97]}]),
        ),
    ],
    ids=[
        "order",
        "nulls",
        "empty",
        "one address",
        "spelling of an address",
        "older names",
        "defaults",
        "time zone",
        "unit",
        "bytes",
    ],
)
def test_another_way_to_write_it_is_the_same_request(
    stand: Stand, one: dict[str, Any], same: dict[str, Any]
) -> None:
    first, again = post(stand, one), post(stand, same)

    assert again.status_code == 201, again.json
    assert again.content == first.content
    assert count(stand) == 1


def test_spaces_are_no_difference(stand: Stand) -> None:
    post(stand, a_body())
    again = stand.post_raw(json.dumps(a_body(), indent=3).encode(), Idempotency_Key="k")

    assert again.headers["idempotency-replayed"] == "true"


def test_a_delay_is_repeated_later_and_means_the_first_time(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = a_body(scheduled_at="in 5 minutes")
    first = post(stand, body)
    monkeypatch.setattr(stands, "NOW", stands.NOW + timedelta(seconds=30))

    again = post(stand, body)

    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_another_request_under_the_key_is_a_conflict(stand: Stand) -> None:
    post(stand, a_body())

    result = post(stand, a_body(subject="Ho"))

    assert (result.status_code, result.json["name"]) == (
        409,
        "invalid_idempotent_request",
    )
    assert count(stand) == 1


def test_one_batch_is_another_request_strict_than_permissive(stand: Stand) -> None:
    post(stand, [a_body()], path=BATCH)

    result = post(stand, [a_body()], path=BATCH, x_batch_validation="permissive")

    assert result.status_code == 409


def test_each_route_has_its_own_keys_and_the_older_address_is_no_route(
    stand: Stand,
) -> None:
    post(stand, a_body())

    batch = post(stand, [a_body()], path=BATCH)
    older = post(stand, a_body(), path="/api/email")

    assert "idempotency-replayed" not in batch.headers
    assert older.headers["idempotency-replayed"] == "true"


def test_a_request_that_was_refused_has_not_used_its_key(stand: Stand) -> None:
    assert post(stand, a_body(subject=...)).status_code == 400

    assert post(stand, a_body()).status_code == 201


@pytest.mark.parametrize("path", [EMAILS, BATCH])
@pytest.mark.parametrize("key", ["", "x" * 257])
def test_a_key_that_is_none_is_refused(stand: Stand, path: str, key: str) -> None:
    result = post(stand, a_body(), key, path)

    assert (result.status_code, result.json["name"]) == (400, "invalid_idempotency_key")
    assert count(stand) == 0


def test_a_key_of_256_characters_is_taken(stand: Stand) -> None:
    assert post(stand, a_body(), "x" * 256).status_code == 201


@pytest.mark.parametrize(
    ("error", "status", "name", "retry_after"),
    [
        (KeyInUseError("wait"), 409, "concurrent_idempotent_requests", "1"),
        (
            StorageUnsureError("hm", email_id="a" * 24, has_key=True),
            503,
            "storage_unsure",
            "5",
        ),
    ],
)
def test_the_client_is_told_when_to_come_again(
    error: Exception, status: int, name: str, retry_after: str
) -> None:
    class Away(MemoryStore):
        def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
            raise error

    result = post(Stand(store=Away()), a_body())

    assert (result.status_code, result.json["name"]) == (status, name)
    assert result.headers["retry-after"] == retry_after
    assert "Idempotency-Key" in result.json["message"]
