"""npm's `resend`, unchanged, against the running service.

Its users point it here by RESEND_BASE_URL and change nothing else.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.service import Service
from tests.sdks.node import Node, a_buffer, a_byte_array

#: Every byte there is.
FILE = bytes(range(256))


@pytest.fixture(autouse=True)
def _whole(service: Service) -> Iterator[None]:
    service.fake.reset()
    yield
    service.fake.reset()


def an_email(**fields: Any) -> dict[str, Any]:
    return {
        "from": "Acme <onboarding@example.org>",
        "to": ["delivered@example.com"],
        "subject": "hello world",
        "html": "<strong>it works!</strong>",
    } | fields


def sent(node: Node, *options: Any, **fields: Any) -> str:
    """Send an email by the SDK and return its id."""
    answered = node.call("emails.send", an_email(**fields), *options)
    assert answered.error is None, answered
    email_id: str = answered.data["id"]
    return email_id


def the_call(service: Service, email_id: str) -> dict[str, Any]:
    """Wait until the provider has an email, and return what it got."""
    service.wait_for_state(email_id, "sent")
    calls = [call for call in service.fake.calls if call["email_id"] == email_id]
    assert len(calls) == 1
    return calls[0]


def test_an_email_is_sent_with_all_that_the_sdk_can_say(
    service: Service, node: Node
) -> None:
    email_id = sent(
        node,
        to="ada@example.com",
        cc="cc@example.com",
        bcc=["bcc@example.com"],
        replyTo="reply@example.org",
        text="it works!",
        headers={"X-Entity-Ref-ID": "42"},
        tags=[{"name": "category", "value": "confirm_email"}],
    )

    request = the_call(service, email_id)["request"]
    block = request["personalizations"][0]
    assert block["to"] == [{"email": "ada@example.com"}]
    assert block["cc"] == [{"email": "cc@example.com"}]
    assert block["bcc"] == [{"email": "bcc@example.com"}]
    assert request["reply_to"] == {"email": "reply@example.org"}
    assert request["headers"] == {"X-Entity-Ref-ID": "42"}
    assert request["categories"] == ["category:confirm_email"]


@pytest.mark.parametrize(
    "content",
    [base64.b64encode(FILE).decode(), a_buffer(FILE), a_byte_array(FILE)],
    ids=["base64", "a Buffer", "a Uint8Array"],
)
def test_a_file_arrives_byte_for_byte(
    service: Service, node: Node, content: Any
) -> None:
    attachment = {
        "filename": "logo.png",
        "content": content,
        "contentType": "image/png",
        "contentId": "logo",
    }

    email_id = sent(node, attachments=[attachment])

    [file] = the_call(service, email_id)["request"]["attachments"]
    assert base64.b64decode(file["content"]) == FILE
    assert file["filename"] == "logo.png"
    assert file["content_id"] == "logo"


def test_an_email_is_shown(service: Service, node: Node) -> None:
    email_id = sent(node)
    the_call(service, email_id)

    shown = node.call("emails.get", email_id).data

    assert shown["object"] == "email"
    assert shown["id"] == email_id
    assert shown["from"] == "Acme <onboarding@example.org>"
    assert shown["to"] == ["delivered@example.com"]
    assert shown["last_event"] == "sent"
    assert shown["message_id"]


def test_a_list_is_paged_through_to_its_end(node: Node) -> None:
    ids = [sent(node) for _ in range(5)][::-1]

    newest = node.call("emails.list", {"limit": 2}).data
    second = node.call(
        "emails.list", {"limit": 2, "after": newest["data"][-1]["id"]}
    ).data
    back = node.call(
        "emails.list", {"limit": 2, "before": second["data"][0]["id"]}
    ).data

    assert newest["object"] == "list"
    assert newest["has_more"] is True
    assert [email["id"] for email in newest["data"]] == ids[:2]
    assert [email["id"] for email in second["data"]] == ids[2:4]
    assert [email["id"] for email in back["data"]] == ids[:2]
    assert len(node.call("emails.list").data["data"]) >= 5


def test_a_scheduled_email_is_moved_and_cancelled(node: Node) -> None:
    email_id = sent(node, scheduledAt="in 1 hour")

    moved = node.call(
        "emails.update", {"id": email_id, "scheduledAt": "2031-01-31T09:00:00.000Z"}
    )
    shown = node.call("emails.get", email_id)
    cancelled = node.call("emails.cancel", email_id)

    assert moved.data == cancelled.data == {"object": "email", "id": email_id}
    assert shown.data["scheduled_at"] == "2031-01-31T09:00:00.000Z"
    assert node.call("emails.get", email_id).data["last_event"] == "canceled"


def test_an_idempotency_key_sends_once(service: Service, node: Node) -> None:
    options = {"idempotencyKey": uuid.uuid4().hex}

    first, again = sent(node, options), sent(node, options)
    other = node.call("emails.send", an_email(subject="other"), options)

    assert again == first
    the_call(service, first)
    assert other.error["statusCode"] == 409
    assert other.error["name"] == "invalid_idempotent_request"


def test_a_batch_is_sent_as_one(service: Service, node: Node) -> None:
    emails = [an_email(to=f"{name}@example.com") for name in ("ada", "bob")]

    answered = node.call("batch.send", emails)

    assert answered.error is None
    ids = [one["id"] for one in answered.data["data"]]
    assert the_call(service, ids[0])["recipients"] == ["ada@example.com"]
    assert the_call(service, ids[1])["recipients"] == ["bob@example.com"]


def test_a_strict_batch_with_a_fault_is_refused_whole(node: Node) -> None:
    before = node.call("emails.list", {"limit": 1}).data

    answered = node.call("batch.send", [an_email(), an_email(to="nobody")])

    assert answered.error["name"] == "validation_error"
    assert node.call("emails.list", {"limit": 1}).data == before


def test_a_permissive_batch_says_by_index_what_it_left_out(
    service: Service, node: Node
) -> None:
    emails = [an_email(to="nobody"), an_email(), an_email(subject="a\nb")]

    answered = node.call("batch.send", emails, {"batchValidation": "permissive"})

    [one] = answered.data["data"]
    the_call(service, one["id"])
    assert [fault["index"] for fault in answered.data["errors"]] == [0, 2]


def test_errors_have_the_names_that_the_sdk_knows(service: Service, node: Node) -> None:
    done = sent(node)
    the_call(service, done)
    wrong = node.call("emails.send", an_email(), key="pr_live_of-somebody-else")

    errors = {
        "validation_error": node.call("emails.send", an_email(to="nobody")),
        "not_found": node.call("emails.get", "0" * 24),
        "invalid_api_key": wrong,
        "invalid_idempotency_key": node.call(
            "emails.send", an_email(), {"idempotencyKey": "k" * 257}
        ),
    }

    assert {name: one.error["name"] for name, one in errors.items()} == {
        name: name for name in errors
    }
    assert all(one.data is None and one.error["message"] for one in errors.values())
    assert wrong.error["statusCode"] == 401
    assert node.call("emails.cancel", done).error["statusCode"] == 409
