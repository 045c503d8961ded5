"""PyPI's `resend`, unchanged, against the running service.

Its users point it here by RESEND_API_URL and change nothing else.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import uuid
from datetime import datetime
from typing import Any

import pytest
import resend
from resend.exceptions import (
    MissingApiKeyError,
    ResendError,
    ValidationError,
)

from tests.e2e.service import Service
from tests.sdks.conftest import API_KEY

pytestmark = pytest.mark.usefixtures("sdk")

#: Every byte there is.
FILE = bytes(range(256))


def an_email(**fields: Any) -> resend.Emails.SendParams:
    email: Any = {
        "from": "Acme <onboarding@example.org>",
        "to": ["delivered@example.com"],
        "subject": "hello world",
        "html": "<strong>it works!</strong>",
    }
    return email | fields


def the_call(service: Service, email_id: str) -> dict[str, Any]:
    """Wait until the provider has an email, and return what it got."""
    service.wait_for_state(email_id, "sent")
    calls = [call for call in service.fake.calls if call["email_id"] == email_id]
    assert len(calls) == 1
    return calls[0]


def test_the_address_and_the_key_are_set_as_its_users_do(service: Service) -> None:
    code = (
        "import resend; print(resend.Emails.send({'from': 'a@example.org', "
        "'to': 'b@example.com', 'subject': 'Hi', 'text': 'Hello'})['id'])"
    )
    environ = {
        "PATH": os.environ["PATH"],
        "RESEND_API_KEY": API_KEY,
        "RESEND_API_URL": f"http://127.0.0.1:{service.port}/api",
    }

    email_id = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()

    assert the_call(service, email_id)["recipients"] == ["b@example.com"]


def test_an_email_is_sent_with_all_that_the_sdk_can_say(service: Service) -> None:
    sent = resend.Emails.send(
        an_email(
            to="ada@example.com",
            cc="cc@example.com",
            bcc=["bcc@example.com"],
            reply_to="reply@example.org",
            text="it works!",
            headers={"X-Entity-Ref-ID": "42"},
            tags=[{"name": "category", "value": "confirm_email"}, {"name": "alone"}],
        )
    )

    request = the_call(service, sent["id"])["request"]
    block = request["personalizations"][0]
    assert block["to"] == [{"email": "ada@example.com"}]
    assert block["cc"] == [{"email": "cc@example.com"}]
    assert block["bcc"] == [{"email": "bcc@example.com"}]
    assert request["reply_to"] == {"email": "reply@example.org"}
    assert request["headers"] == {"X-Entity-Ref-ID": "42"}
    assert request["categories"] == ["category:confirm_email", "alone"]
    assert [part["value"] for part in request["content"]] == [
        "it works!",
        "<strong>it works!</strong>",
    ]


@pytest.mark.parametrize(
    "content",
    [base64.b64encode(FILE).decode(), list(FILE)],
    ids=["base64", "a list of bytes"],
)
def test_a_file_arrives_byte_for_byte(service: Service, content: Any) -> None:
    attachment: resend.Attachment = {
        "filename": "logo.png",
        "content": content,
        "content_type": "image/png",
        "inline_content_id": "logo",
    }

    sent = resend.Emails.send(an_email(attachments=[attachment]))

    [file] = the_call(service, sent["id"])["request"]["attachments"]
    assert base64.b64decode(file["content"]) == FILE
    assert file["filename"] == "logo.png"
    assert file["content_id"] == "logo"


def test_an_email_is_shown_as_the_sdk_declares_it(service: Service) -> None:
    sent = resend.Emails.send(an_email(tags=[{"name": "a", "value": "b"}]))
    the_call(service, sent["id"])

    shown = resend.Emails.get(sent["id"])

    assert set(resend.Email.__annotations__) <= set(shown)
    assert shown["id"] == sent["id"]
    assert shown["from"] == "Acme <onboarding@example.org>"
    assert shown["to"] == ["delivered@example.com"]
    assert shown["subject"] == "hello world"
    assert shown["last_event"] == "sent"
    assert shown["message_id"]
    assert datetime.fromisoformat(shown["created_at"]).tzinfo is not None
    assert shown["http_headers"]["x-request-id"]


def test_a_list_is_paged_through_to_its_end() -> None:
    ids = [resend.Emails.send(an_email())["id"] for _ in range(5)][::-1]
    newest = resend.Emails.list({"limit": 2})

    second = resend.Emails.list({"limit": 2, "after": newest["data"][-1]["id"]})
    back = resend.Emails.list({"limit": 2, "before": second["data"][0]["id"]})

    assert newest["object"] == "list"
    assert newest["has_more"]
    assert [email["id"] for email in newest["data"]] == ids[:2]
    assert [email["id"] for email in second["data"]] == ids[2:4]
    assert [email["id"] for email in back["data"]] == ids[:2]
    assert len(resend.Emails.list()["data"]) >= 5


def test_a_scheduled_email_is_moved_and_cancelled() -> None:
    sent = resend.Emails.send(an_email(scheduled_at="in 1 hour"))

    moved = resend.Emails.update(
        {"id": sent["id"], "scheduled_at": "2031-01-31T09:00:00.000Z"}
    )
    shown: Any = resend.Emails.get(sent["id"])
    cancelled = resend.Emails.cancel(sent["id"])

    assert moved["object"] == cancelled["object"] == "email"
    assert moved["id"] == cancelled["id"] == sent["id"]
    assert shown["scheduled_at"] == "2031-01-31T09:00:00.000Z"
    assert resend.Emails.get(sent["id"])["last_event"] == "canceled"


def test_an_idempotency_key_sends_once(service: Service) -> None:
    key = uuid.uuid4().hex
    first = resend.Emails.send(an_email(), {"idempotency_key": key})

    again = resend.Emails.send(an_email(), {"idempotency_key": key})

    assert again["id"] == first["id"]
    the_call(service, first["id"])
    with pytest.raises(ResendError) as caught:
        resend.Emails.send(an_email(subject="other"), {"idempotency_key": key})
    assert caught.value.code == 409
    assert caught.value.error_type == "invalid_idempotent_request"


def test_a_batch_is_sent_as_one(service: Service) -> None:
    emails = [an_email(to=f"{name}@example.com") for name in ("ada", "bob")]
    key = uuid.uuid4().hex

    sent = resend.Batch.send(emails, {"idempotency_key": key})

    again = resend.Batch.send(emails, {"idempotency_key": key})
    ids = [one["id"] for one in sent["data"]]
    assert [one["id"] for one in again["data"]] == ids
    assert the_call(service, ids[0])["recipients"] == ["ada@example.com"]
    assert the_call(service, ids[1])["recipients"] == ["bob@example.com"]


def test_a_strict_batch_with_a_fault_is_refused_whole() -> None:
    before = resend.Emails.list({"limit": 1})

    with pytest.raises(ValidationError, match=r"\b1\b.*\bto\b"):
        resend.Batch.send([an_email(), an_email(to="nobody")])

    assert resend.Emails.list({"limit": 1})["data"] == before["data"]


def test_a_permissive_batch_says_by_index_what_it_left_out(service: Service) -> None:
    emails = [an_email(to="nobody"), an_email(), an_email(subject="a\nb")]

    sent = resend.Batch.send(emails, {"batch_validation": "permissive"})

    [one] = sent["data"]
    the_call(service, one["id"])
    assert [fault["index"] for fault in sent["errors"]] == [0, 2]
    assert "to" in sent["errors"][0]["message"]
    assert "subject" in sent["errors"][1]["message"]


def test_a_faulty_email_is_a_validation_error() -> None:
    with pytest.raises(ValidationError, match="to") as caught:
        resend.Emails.send(an_email(to=["a@example.com, b@example.com"]))

    assert caught.value.code == 400
    assert caught.value.error_type == "validation_error"
    assert caught.value.headers["x-request-id"]


def test_a_missing_field_is_a_validation_error() -> None:
    with pytest.raises(ValidationError, match=r"to.*required"):
        resend.Emails.send({"from": "a@example.org", "subject": "x", "text": "y"})


def test_a_missing_key_has_an_exception_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resend, "api_key", "")

    with pytest.raises(MissingApiKeyError):
        resend.Emails.send(an_email())


def test_a_wrong_key_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resend, "api_key", "pr_live_of-somebody-else")

    # The class of its own is for Resend's 403; here it is HTTP's 401.
    with pytest.raises(ResendError) as caught:
        resend.Emails.send(an_email())
    assert caught.value.code == 401
    assert caught.value.error_type == "invalid_api_key"


@pytest.mark.parametrize("verb", ["get", "cancel"])
def test_an_email_that_is_not_there_is_not_found(verb: str) -> None:
    with pytest.raises(ResendError) as caught:
        getattr(resend.Emails, verb)("0" * 24)

    assert caught.value.code == 404
    assert caught.value.error_type == "not_found"


def test_what_is_past_its_schedule_cannot_be_moved_nor_cancelled(
    service: Service,
) -> None:
    sent = resend.Emails.send(an_email())
    the_call(service, sent["id"])

    for call in (
        lambda: resend.Emails.cancel(sent["id"]),
        lambda: resend.Emails.update({"id": sent["id"], "scheduled_at": "in 1 hour"}),
    ):
        with pytest.raises(ResendError) as caught:
            call()
        assert caught.value.code == 409
