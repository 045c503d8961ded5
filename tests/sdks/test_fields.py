"""Every field that Resend's SDKs declare is taken, or refused on purpose.

The fields are read from the SDKs themselves: one that a new release adds has no value
here, which fails, so that somebody decides.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import resend
from resend.emails._attachment import Attachment, RemoteAttachment

from postroom.http.answers import EmailAnswer
from tests.sdks.node import NodeMissingError, packages
from tests.servers import skip_or_fail
from tests.web.stand import Stand, a_body, faults

#: A value for each field, and where it is seen again; `None`: in no answer.
EMAIL: dict[str, Any] = {
    "from": "Acme <hello@acme.example>",
    "to": ["ada@example.com"],
    "cc": ["cc@example.com"],
    "bcc": ["bcc@example.com"],
    "reply_to": ["reply@example.com"],
    "subject": "Hi",
    "html": "<p>Hello</p>",
    "text": "Hello",
    "headers": {"X-Ref": "1"},
    "attachments": [{"filename": "a.txt", "content": "YQ=="}],
    "tags": [{"name": "kind", "value": "receipt"}],
    "scheduled_at": "2030-02-01T09:00:00.000Z",
}

REFUSED: dict[str, Any] = {
    "template": {"id": "welcome", "variables": {"name": "Ada"}},
    "topic_id": "b6d24b8e-af0b-4c3c-be0c-359bbd97381e",
    "region": "us-east-1",
}

ATTACHMENT: dict[str, Any] = {
    "filename": "a.txt",
    "content": "YQ==",
    "content_type": "text/plain",
    "content_id": "logo",
    "inline_content_id": "logo",
}

REFUSED_OF_AN_ATTACHMENT: dict[str, Any] = {"path": "https://files.example/a.txt"}

TAG: dict[str, Any] = {"name": "kind", "value": "receipt"}


@pytest.fixture(scope="module")
def declared() -> str:
    """Give the Node SDK's declarations of its types."""
    try:
        folder = packages()
    except NodeMissingError as ex:
        skip_or_fail(ex)
        return ""
    dist = folder / "node_modules" / "resend" / "dist"
    return Path(dist / "index.d.cts").read_text("utf-8")


def members(declared: str, interface: str) -> set[str]:
    """Return the names that an interface of TypeScript declares itself."""
    found = re.search(rf"interface {interface} {{\n(.*?)\n}}", declared, re.DOTALL)
    assert found is not None, interface
    return set(re.findall(r"^  (\w+)\??:", found[1], re.MULTILINE))


def python_fields(kind: Any) -> set[str]:
    return set(get_type_hints(kind))


@pytest.mark.parametrize("field", sorted(python_fields(resend.Emails.SendParams)))
def test_each_field_of_the_python_sdk_is_taken_or_refused(field: str) -> None:
    check(field)


@pytest.mark.parametrize(
    "field", sorted(python_fields(Attachment) | python_fields(RemoteAttachment))
)
def test_each_field_of_an_attachment_is_taken_or_refused(field: str) -> None:
    check_attachment(field)


def test_each_field_of_a_tag_is_taken() -> None:
    assert python_fields(resend.Tag) == set(TAG)
    assert Stand().post(a_body(tags=[TAG])).status_code == 201
    assert Stand().post(a_body(tags=[{"name": "kind"}])).status_code == 201


def test_the_node_sdk_has_no_field_that_is_overlooked(declared: str) -> None:
    for field in members(declared, "EmailApiOptions"):
        check(field)
    for field in members(declared, "EmailApiAttachment"):
        check_attachment(field)


def test_the_node_sdk_finds_every_field_of_an_email_in_the_answer(
    declared: str,
) -> None:
    # `topic_id` is optional in it: there are no topics.
    wanted = members(declared, "GetEmailResponseSuccess") - {"topic_id"}
    described = EmailAnswer.model_json_schema(by_alias=True, mode="serialization")

    assert wanted <= set(described["properties"])


def test_the_python_sdk_finds_every_field_of_an_email_in_the_answer() -> None:
    described = EmailAnswer.model_json_schema(by_alias=True, mode="serialization")

    assert python_fields(resend.Email) <= set(described["properties"])


def test_every_option_of_a_request_has_a_test() -> None:
    """Which of them work is seen in test_python_sdk.py and test_node_sdk.py."""
    assert python_fields(resend.Emails.SendOptions) == {"idempotency_key"}
    assert python_fields(resend.Batch.SendOptions) == {
        "idempotency_key",
        "batch_validation",
    }
    assert python_fields(resend.Emails.UpdateParams) == {"id", "scheduled_at"}
    assert python_fields(resend.Emails.ListParams) == {"limit", "after", "before"}


def test_a_null_counts_as_absent() -> None:
    nothing = dict.fromkeys((EMAIL | REFUSED).keys() - a_body().keys())
    file = {"filename": "a.txt", "content": "YQ=="}
    file |= dict.fromkeys((ATTACHMENT | REFUSED_OF_AN_ATTACHMENT).keys() - file.keys())

    assert Stand().post(a_body(**nothing)).status_code == 201
    assert Stand().post(a_body(attachments=[file])).status_code == 201


def check(field: str) -> None:
    stand = Stand()
    if field in REFUSED:
        answer = stand.post(a_body(**{field: REFUSED[field]}))
        assert faults(answer) == {(field, "not_supported_yet")}
        return
    assert field in EMAIL, f"{field}: neither taken nor refused on purpose"
    answer = stand.post(a_body(**{field: EMAIL[field]}))
    assert answer.status_code == 201, answer.json
    if field == "attachments":
        return
    assert stand.get(answer.headers["Location"]).json[field] == EMAIL[field]


def check_attachment(field: str) -> None:
    stand = Stand()
    file = {"filename": "a.txt", "content": "YQ=="}
    if field in REFUSED_OF_AN_ATTACHMENT:
        file[field] = REFUSED_OF_AN_ATTACHMENT[field]
        answer = stand.post(a_body(attachments=[file]))
        assert faults(answer) == {(f"attachments[0].{field}", "not_supported_yet")}
        return
    assert field in ATTACHMENT, f"{field}: neither taken nor refused on purpose"
    file[field] = ATTACHMENT[field]
    answer = stand.post(a_body(attachments=[file]))
    assert answer.status_code == 201, answer.json
    shown = stand.get(answer.headers["Location"]).json["attachments"][0]
    if field != "content":
        known = {"inline_content_id": "content_id"}.get(field, field)
        assert shown[known] == ATTACHMENT[field]
