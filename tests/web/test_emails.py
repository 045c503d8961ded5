"""`POST /api/emails` and `GET /api/emails/ID` from outside."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.adapters.memory_store import MemoryStore
from postroom.domain import lifecycle
from postroom.domain.email import Address, Delivery, Email, Priority, RecipientKind
from postroom.domain.errors import (
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from postroom.domain.retention import erased
from postroom.http.options import Options
from tests.web.stand import NOW, SANDBOX, Stand, a_body, faults

FULL = {
    "from": "Acme <hello@acme.example>",
    "to": ["Ada Lovelace <ada@example.com>", "bob@example.com"],
    "cc": "carol@example.com",
    "bcc": ["dan@example.com"],
    "reply_to": ["help@acme.example"],
    "subject": "Hi",
    "text": "Hello\r\n\tthere",
    "html": "<p>Hello</p>",
    "headers": {"X-Entity-Ref-ID": "123"},
    "attachments": [
        {"filename": "a.txt", "content": "aGVsbG8="},
        {
            "filename": "logo",
            "content": [137, 80],
            "content_type": "image/png",
            "content_id": "logo",
        },
    ],
    "tags": [{"name": "kind", "value": "receipt"}],
    "metadata": {"order": "1815"},
    "delivery": "at_most_once",
    "provider": "sandbox",
    "priority": "high",
}


class BrokenStore(MemoryStore):
    """Fails at every insert, or at every look."""

    def __init__(
        self, *, insert: Exception | None = None, load: Exception | None = None
    ) -> None:
        super().__init__()
        self._insert_error = insert
        self._load_error = load

    def insert(self, email: Email) -> None:
        if self._insert_error is not None:
            raise self._insert_error
        super().insert(email)

    def load(self, email_id: str) -> Email | None:
        if self._load_error is not None:
            raise self._load_error
        return super().load(email_id)


def stored(stand: Stand, answer: Any) -> Email:
    email = stand.store.load(answer.json["id"])
    assert email is not None
    return email


@pytest.mark.parametrize("path", ["/api/emails", "/api/email", "/api/emails/"])
def test_an_accepted_email_is_stored_hinted_and_answered_with_its_id(
    stand: Stand, path: str
) -> None:
    answer = stand.client.simulate_post(path, json=a_body())

    email = stored(stand, answer)
    assert answer.status_code == 201
    assert answer.json == {
        "object": "email",
        "id": email.email_id,
        "state": "queued",
        "created_at": "2030-01-31T09:00:00.000Z",
        "data": {"id": email.email_id},
    }
    assert answer.headers["Location"] == f"/api/emails/{email.email_id}"
    assert len(stand.hints.hinted) == 1


def test_the_whole_body_is_carried(stand: Stand) -> None:
    email = stored(stand, stand.post(FULL))

    content = email.content
    assert content is not None
    assert [
        (one.kind, one.display_name, one.addr_spec) for one in email.recipients
    ] == [
        (RecipientKind.TO, "Ada Lovelace", "ada@example.com"),
        (RecipientKind.TO, "", "bob@example.com"),
        (RecipientKind.CC, "", "carol@example.com"),
        (RecipientKind.BCC, "", "dan@example.com"),
    ]
    assert content.sender.display_name == "Acme"
    assert [one.addr_spec for one in content.reply_to] == ["help@acme.example"]
    assert (content.subject, content.text) == ("Hi", "Hello\r\n\tthere")
    assert content.html == "<p>Hello</p>"
    assert content.headers == {"X-Entity-Ref-ID": "123"}
    assert [
        (one.filename, one.content, one.content_type, one.content_id)
        for one in content.attachments
    ] == [
        ("a.txt", b"hello", "text/plain", None),
        ("logo", b"\x89P", "image/png", "logo"),
    ]
    assert [(tag.name, tag.value) for tag in content.tags] == [("kind", "receipt")]
    assert content.metadata == {"order": "1815"}
    assert email.delivery is Delivery.AT_MOST_ONCE
    assert email.priority is Priority.HIGH
    assert (email.provider, email.owner) == ("sandbox", "default")


def test_the_email_is_shown_with_resends_names_and_ours(stand: Stand) -> None:
    email_id = stand.post(FULL).json["id"]

    shown = stand.get(f"/api/emails/{email_id}").json

    assert shown == shown | {
        "object": "email",
        "id": email_id,
        "from": "Acme <hello@acme.example>",
        "to": ["Ada Lovelace <ada@example.com>", "bob@example.com"],
        "cc": ["carol@example.com"],
        "bcc": ["dan@example.com"],
        "reply_to": ["help@acme.example"],
        "subject": "Hi",
        "text": "Hello\r\n\tthere",
        "html": "<p>Hello</p>",
        "created_at": "2030-01-31T09:00:00.000Z",
        "scheduled_at": None,
        "last_event": "queued",
        "tags": [{"name": "kind", "value": "receipt"}],
        "state": "queued",
        "waiting_for": None,
        "attempts": [],
        "metadata": {"order": "1815"},
        "delivery": "at_most_once",
        "provider": "sandbox",
        "priority": "high",
        "possible_duplicate": False,
        "headers": {"X-Entity-Ref-ID": "123"},
    }
    assert shown["attachments"] == [
        {
            "filename": "a.txt",
            "content_type": "text/plain",
            "content_id": None,
            "size": 5,
        },
        {
            "filename": "logo",
            "content_type": "image/png",
            "content_id": "logo",
            "size": 2,
        },
    ]
    assert shown["recipients"][0] == {
        "kind": "to",
        "address": "ada@example.com",
        "state": "pending",
        "code": None,
    }


@pytest.mark.parametrize("path", ["/api/emails", "/api/email"])
def test_an_email_is_shown_at_either_address(stand: Stand, path: str) -> None:
    email_id = stand.post(a_body()).json["id"]

    assert stand.get(f"{path}/{email_id}").json["id"] == email_id


@pytest.mark.parametrize(
    "email_id", ["0" * 24, "nope", "0" * 23, "0" * 25, "$where", "F" * 24]
)
def test_an_email_that_is_not_there_is_404(stand: Stand, email_id: str) -> None:
    answer = stand.get(f"/api/emails/{email_id}")

    assert answer.status_code == 404
    assert answer.json["name"] == "not_found"


def test_a_scheduled_email_waits_for_its_time(stand: Stand) -> None:
    answer = stand.post(a_body(scheduled_at="in 2 hours"))

    email = stored(stand, answer)
    assert answer.json["state"] == "scheduled"
    assert email.not_before == NOW + timedelta(hours=2)
    shown = stand.get(answer.headers["Location"]).json
    assert shown["scheduled_at"] == "2030-01-31T11:00:00.000Z"
    assert shown["last_event"] == "scheduled"


def test_an_erased_email_shows_its_record_without_what_it_said(stand: Stand) -> None:
    answer = stand.post(FULL)
    sent = lifecycle.failed(stored(stand, answer), reason="expired", now=NOW).after
    gone = erased(sent, now=NOW + timedelta(days=30), keep_email=timedelta(days=400))
    store = MemoryStore()
    store.insert(gone.after)

    answer = Stand(store=store).get(answer.headers["Location"])

    assert answer.status_code == 200
    shown = answer.json
    assert (shown["text"], shown["html"], shown["attachments"]) == (None, None, [])
    assert shown["erased_at"] == "2030-03-02T09:00:00.000Z"
    assert shown["subject"] == FULL["subject"]
    assert shown["to"] == FULL["to"]
    assert shown["tags"] == FULL["tags"]
    assert shown["metadata"] == FULL["metadata"]


def test_a_schedule_that_has_passed_means_now(stand: Stand) -> None:
    answer = stand.post(a_body(scheduled_at="2001-01-01T00:00:00+02:00"))

    assert answer.json["state"] == "queued"
    assert stored(stand, answer).not_before == NOW


def test_the_older_services_body_is_accepted_with_a_default_sender() -> None:
    stand = Stand(options=Options(default_from=Address(addr_spec="me@acme.example")))

    answer = stand.post({"title": "Hi", "content": "Hello", "to": ["a@example.com"]})

    shown = stand.get(answer.headers["Location"]).json
    assert (shown["subject"], shown["text"]) == ("Hi", "Hello")
    assert shown["from"] == "me@acme.example"


def test_redis_away_does_not_change_the_answer(stand: Stand) -> None:
    stand.hints.away = True

    assert stand.post(a_body()).status_code == 201


def test_what_is_known_not_to_be_stored_is_500_not_stored() -> None:
    stand = Stand(store=BrokenStore(insert=NotStoredError("no")))

    answer = stand.post(a_body())

    assert answer.status_code == 500
    assert answer.json["name"] == "not_stored"


def test_without_the_stores_time_nothing_is_stored(stand: Stand) -> None:
    stand.clock.lost = True

    answer = stand.post(a_body())

    assert answer.status_code == 500
    assert answer.json["name"] == "not_stored"


def test_faults_are_found_without_the_stores_time(stand: Stand) -> None:
    stand.clock.lost = True

    assert stand.post({}).status_code == 400


def test_what_may_be_stored_is_503_with_the_id_to_look_up() -> None:
    unsure = StorageUnsureError("?", email_id="a" * 24)
    stand = Stand(store=BrokenStore(insert=unsure))

    answer = stand.post(a_body())

    assert answer.status_code == 503
    assert answer.json["name"] == "storage_unsure"
    assert answer.json["id"] == "a" * 24
    assert answer.headers["Location"] == f"/api/emails/{'a' * 24}"


def test_a_look_at_a_store_that_is_away_is_503() -> None:
    stand = Stand(store=BrokenStore(load=StoreUnavailableError("away")))

    answer = stand.get(f"/api/emails/{'a' * 24}")

    assert answer.status_code == 503
    assert answer.json["name"] == "store_unavailable"


def test_what_no_provider_can_ever_carry_is_400_with_the_reason_of_each() -> None:
    small = replace(SANDBOX, name="small", max_size_bytes=10)
    narrow = replace(SANDBOX, name="narrow", max_recipients=1)
    stand = Stand(profiles=(small, narrow))

    answer = stand.post(a_body(text="x" * 100, to=["a@example.com", "b@example.com"]))

    assert answer.status_code == 400
    assert answer.json["name"] == "no_provider"
    assert faults(answer) == {("", "cannot_carry")}
    assert [fault["message"] for fault in answer.json["errors"]] == [
        "small: too_large",
        "narrow: too_many_recipients",
    ]
