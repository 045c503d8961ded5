"""Every rule about the body of an email, and that all faults come at once."""

import base64
from typing import Any

import pytest

from postroom.http.faults import MOST_FAULTS
from postroom.http.options import Limits, Options
from tests.web.stand import Stand, a_body, faults


def file(**fields: Any) -> dict[str, Any]:
    return {"filename": "a.pdf", "content": "aGVsbG8="} | fields


BAD = {
    "from is a list": ({"from": ["a@b.example"]}, "from", "wrong_type"),
    "from twice": ({"from": "a@b.example, c@d.example"}, "from", "invalid_address"),
    "no to": ({"to": ...}, "to", "missing"),
    "to is null": ({"to": None}, "to", "missing"),
    "to is empty": ({"to": []}, "to", "empty"),
    "to is a number": ({"to": 5}, "to", "wrong_type"),
    "to is an object": ({"to": {"email": "a@b.example"}}, "to", "wrong_type"),
    "an address is a number": ({"to": [5]}, "to[0]", "wrong_type"),
    "no domain": ({"to": ["ada"]}, "to[0]", "invalid_address"),
    "two in one item": (
        {"to": ["a@b.example,c@d.example"]},
        "to[0]",
        "invalid_address",
    ),
    "a line in an address": (
        {"cc": "a@b.example\r\nBcc: x@y.example"},
        "cc[0]",
        "invalid_address",
    ),
    "bad reply_to": ({"reply_to": ["@"]}, "reply_to[0]", "invalid_address"),
    "no subject": ({"subject": ...}, "subject", "missing"),
    "blank subject": ({"subject": " "}, "subject", "empty"),
    "subject of two lines": ({"subject": "a\nb"}, "subject", "control_character"),
    "long subject": ({"subject": "x" * 999}, "subject", "too_long"),
    "subject is a number": ({"subject": 5}, "subject", "wrong_type"),
    "no body": ({"text": ...}, "text", "missing"),
    "empty body": ({"text": "", "html": None}, "text", "missing"),
    "NUL in a body": ({"text": "a\0b"}, "text", "control_character"),
    "C1 in a body": ({"html": "a\x90b"}, "html", "control_character"),
    "headers are a list": ({"headers": []}, "headers", "wrong_type"),
    "a header's value": ({"headers": {"X-A": 1}}, "headers.X-A", "wrong_type"),
    "a header of two lines": (
        {"headers": {"X-A": "a\r\nBcc: x@y.example"}},
        "headers.X-A",
        "control_character",
    ),
    "a header with U+2028": (
        {"headers": {"X-A": "a\u2028b"}},
        "headers.X-A",
        "control_character",
    ),
    "a header's name": ({"headers": {"X A": "1"}}, "headers.X A", "invalid_name"),
    "a header's long name": (
        {"headers": {"X" * 65: "1"}},
        "headers." + "X" * 64 + "...",
        "invalid_name",
    ),
    "headers that differ in case": (
        {"headers": {"X-A": "1", "x-a": "1"}},
        "headers",
        "duplicate",
    ),
    "too many headers": (
        {"headers": {f"X-{n}": "1" for n in range(51)}},
        "headers",
        "too_many",
    ),
    "tags are an object": ({"tags": {"a": "b"}}, "tags", "wrong_type"),
    "a tag is a string": ({"tags": ["a"]}, "tags[0]", "wrong_type"),
    "a tag's name": (
        {"tags": [{"name": "a b", "value": "c"}]},
        "tags[0].name",
        "invalid_name",
    ),
    "a tag's value": (
        {"tags": [{"name": "a", "value": ""}]},
        "tags[0].value",
        "invalid_name",
    ),
    "too many tags": (
        {"tags": [{"name": "a", "value": "b"}] * 11},
        "tags",
        "too_many",
    ),
    "metadata is a list": ({"metadata": []}, "metadata", "wrong_type"),
    "metadata is a number": ({"metadata": {"a": 1}}, "metadata.a", "wrong_type"),
    "metadata is nested": ({"metadata": {"a": {}}}, "metadata.a", "wrong_type"),
    "metadata is long": (
        {"metadata": {"a": "x" * 1001}},
        "metadata.a",
        "too_long",
    ),
    "too much metadata": (
        {"metadata": {str(n): "" for n in range(51)}},
        "metadata",
        "too_many",
    ),
    "delivery": ({"delivery": "maybe"}, "delivery", "not_a_choice"),
    "delivery is a list": ({"delivery": []}, "delivery", "not_a_choice"),
    "priority": ({"priority": "urgent"}, "priority", "not_a_choice"),
    "provider": ({"provider": "ses"}, "provider", "unknown_provider"),
    "a time without offset": (
        {"scheduled_at": "2030-01-31T09:00:00"},
        "scheduled_at",
        "invalid_time",
    ),
    "a date": ({"scheduled_at": "2030-01-31"}, "scheduled_at", "invalid_time"),
    "a day that is not": (
        {"scheduled_at": "2030-02-30T09:00:00Z"},
        "scheduled_at",
        "invalid_time",
    ),
    "a year too late": (
        {"scheduled_at": "2036-01-01T00:00:00Z"},
        "scheduled_at",
        "invalid_time",
    ),
    "the end of time": (
        {"scheduled_at": "9999-12-31T23:59:59-14:00"},
        "scheduled_at",
        "invalid_time",
    ),
    "a long delay": (
        {"scheduled_at": "in 999999999 days"},
        "scheduled_at",
        "invalid_time",
    ),
    "an odd delay": ({"scheduled_at": "in 5 moons"}, "scheduled_at", "invalid_time"),
    "a delay in letters that only look alike": (
        {"scheduled_at": "in 5 \u017feconds"},
        "scheduled_at",
        "invalid_time",
    ),
    "a delay without the dots on its letters": (
        {"scheduled_at": "in 5 m\u0131nutes"},
        "scheduled_at",
        "invalid_time",
    ),
    "a delay in other digits": (
        {"scheduled_at": "in \u0663 days"},
        "scheduled_at",
        "invalid_time",
    ),
    "a leap second": (
        {"scheduled_at": "2030-12-31T23:59:60Z"},
        "scheduled_at",
        "invalid_time",
    ),
    "a time as a number": ({"scheduled_at": 1}, "scheduled_at", "wrong_type"),
    "attachments are an object": ({"attachments": {}}, "attachments", "wrong_type"),
    "an attachment is a string": (
        {"attachments": ["a"]},
        "attachments[0]",
        "wrong_type",
    ),
    "a file without a name": (
        {"attachments": [{"content": "aGVsbG8="}]},
        "attachments[0].filename",
        "missing",
    ),
    "a file without content": (
        {"attachments": [{"filename": "a"}]},
        "attachments[0].content",
        "missing",
    ),
    "an empty file": (
        {"attachments": [file(content="")]},
        "attachments[0].content",
        "empty",
    ),
    "not base64": (
        {"attachments": [file(content="a-_=")]},
        "attachments[0].content",
        "invalid_content",
    ),
    "base64 cut short": (
        {"attachments": [file(content="aGVsbG8")]},
        "attachments[0].content",
        "invalid_content",
    ),
    "byte values too large": (
        {"attachments": [file(content=[256])]},
        "attachments[0].content",
        "invalid_content",
    ),
    "byte values that are none": (
        {"attachments": [file(content=[1.5, "x"])]},
        "attachments[0].content",
        "invalid_content",
    ),
    "a byte value that is true": (
        {"attachments": [file(content=[80, True])]},
        "attachments[0].content",
        "invalid_content",
    ),
    "a Buffer with a byte value that is true": (
        {"attachments": [file(content={"type": "Buffer", "data": [True]})]},
        "attachments[0].content",
        "invalid_content",
    ),
    "a Buffer of base64": (
        {"attachments": [file(content={"type": "Buffer", "data": "aGVsbG8="})]},
        "attachments[0].content",
        "wrong_type",
    ),
    "a Buffer with something else in it": (
        {"attachments": [file(content={"type": "Buffer", "data": [1], "x": 1})]},
        "attachments[0].content",
        "wrong_type",
    ),
    "content is a number": (
        {"attachments": [file(content=7)]},
        "attachments[0].content",
        "wrong_type",
    ),
    "a path for a name": (
        {"attachments": [file(filename="../a")]},
        "attachments[0].filename",
        "invalid_name",
    ),
    "a name with a quote": (
        {"attachments": [file(filename='a".pdf')]},
        "attachments[0].filename",
        "invalid_name",
    ),
    "a name that ends in a space": (
        {"attachments": [file(filename="a.pdf ")]},
        "attachments[0].filename",
        "invalid_name",
    ),
    "an empty header": ({"headers": {"X-A": ""}}, "headers.X-A", "empty"),
    "a header that begins with a space": (
        {"headers": {"X-A": " b"}},
        "headers.X-A",
        "invalid_content",
    ),
    "a name that turns around": (
        {"attachments": [file(filename="a\u202efdp.exe")]},
        "attachments[0].filename",
        "control_character",
    ),
    "no media type": (
        {"attachments": [file(content_type="pdf")]},
        "attachments[0].content_type",
        "invalid_content",
    ),
    "a line in a media type": (
        {"attachments": [file(content_type="text/plain\r\nX: y")]},
        "attachments[0].content_type",
        "invalid_content",
    ),
    "a bad content_id": (
        {"attachments": [file(content_id="a b")]},
        "attachments[0].content_id",
        "invalid_name",
    ),
    "two content ids": (
        {"attachments": [file(content_id="a", inline_content_id="b")]},
        "attachments[0].inline_content_id",
        "conflict",
    ),
    "a bad older content id": (
        {"attachments": [file(inline_content_id="a b")]},
        "attachments[0].inline_content_id",
        "invalid_name",
    ),
    "a remote file": (
        {"attachments": [file(path="https://example.com/a.pdf")]},
        "attachments[0].path",
        "not_supported_yet",
    ),
    "an unknown field of a file": (
        {"attachments": [file(size=5)]},
        "attachments[0].size",
        "unknown_field",
    ),
    "a template": ({"template": {"id": "1"}}, "template", "not_supported_yet"),
    "a topic": ({"topic_id": "1"}, "topic_id", "not_supported_yet"),
    "an unknown field": ({"sujbect": "Hi"}, "sujbect", "unknown_field"),
    "our own name for from": ({"sender": "a@b.example"}, "sender", "unknown_field"),
    "two subjects": ({"title": "Ho"}, "title", "conflict"),
    "a null that is misspelt": ({"subjct": None}, "subjct", "unknown_field"),
    "a null that is misspelt in a file": (
        {"attachments": [file(contnt=None)]},
        "attachments[0].contnt",
        "unknown_field",
    ),
    "two texts": ({"content": "Ho"}, "content", "conflict"),
    "a bad older subject": (
        {"subject": ..., "title": "a\nb"},
        "title",
        "control_character",
    ),
    "many recipients in one field": (
        {"to": [f"a{n}@b.example" for n in range(51)]},
        "to",
        "too_many",
    ),
    "many recipients in all": (
        {
            "to": [f"a{n}@b.example" for n in range(30)],
            "bcc": [f"b{n}@b.example" for n in range(21)],
        },
        "to",
        "too_many",
    ),
}


@pytest.mark.parametrize(("fields", "field", "code"), BAD.values(), ids=list(BAD))
def test_a_bad_value_is_refused_by_its_field(
    stand: Stand, fields: dict[str, Any], field: str, code: str
) -> None:
    answer = stand.post(a_body(**fields))

    assert answer.status_code == 400
    assert answer.json["name"] == "validation_error"
    assert (field, code) in faults(answer)
    assert stand.hints.hinted == []


GOOD = {
    "one address as a string": {"to": "ada@example.com"},
    "fifty recipients": {"to": [f"a{n}@b.example" for n in range(50)]},
    "a name with a comma": {"to": '"Lovelace, Ada" <ada@example.com>'},
    "a domain in its own script": {"to": "ada@bücher.example"},
    "a subject of 998": {"subject": "x" * 998},
    "a subject in its own script": {"subject": "Καλημέρα 🌞"},
    "only html": {"text": None, "html": "<p>"},
    "an empty text beside html": {"text": "", "html": "<p>"},
    "a body with separators": {"text": "a\u2028b"},
    "nulls": dict.fromkeys(
        ("cc", "bcc", "reply_to", "headers", "attachments", "tags", "scheduled_at")
    ),
    "nulls of what is not there yet": {"template": None, "topic_id": None},
    "an empty text beside its older name": {"text": "", "content": "Hello"},
    "an older name that is empty": {"content": ""},
    "equal older names": {"title": "Hi", "content": "Hello"},
    "base64 in lines": {"attachments": [file(content="aGVs\r\nbG8=\n")]},
    "a Buffer of Node": {
        "attachments": [file(content={"type": "Buffer", "data": [104, 105]})]
    },
    "a media type with a parameter": {
        "attachments": [file(content_type="text/calendar; method=REQUEST")]
    },
    "a content id in brackets": {"attachments": [file(content_id="<logo>")]},
    "nulls in a file": {
        "attachments": [file(path=None, content_type=None, content_id=None)]
    },
    "a time": {"scheduled_at": "2030-02-01T10:00:00.123456+01:00"},
    "a time without seconds": {"scheduled_at": "2030-02-01 10:00Z"},
    "a delay": {"scheduled_at": "in 90 seconds"},
    "a short delay": {"scheduled_at": "in 1 min"},
    "a useful header": {"headers": {"List-Unsubscribe": "<https://example.com/u>"}},
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=list(GOOD))
def test_a_good_value_is_accepted(stand: Stand, fields: dict[str, Any]) -> None:
    answer = stand.post(a_body(**fields))

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "name",
    [
        *("From", "to", "CC", "Bcc", "Reply-To", "Sender", "Subject", "Date"),
        *("Return-Path", "Received", "DKIM-Signature", "Message-ID", "MIME-Version"),
        *("Content-Type", "Content-Transfer-Encoding", "Resent-To", "X-SMTPAPI"),
        *("X-Mailgun-Tag", "X-SES-Configuration-Set", "X-MC-Tags", "X-PM-Tag"),
        *("X-Postroom-Id", "ARC-Seal", "X-SG-EID", "X-Mailin-Tag"),
    ],
)
def test_headers_of_identity_and_of_providers_are_reserved(
    stand: Stand, name: str
) -> None:
    answer = stand.post(a_body(headers={name: "1"}))

    assert faults(answer) == {(f"headers.{name}", "reserved_header")}


def test_all_faults_of_a_request_come_in_one_answer(stand: Stand) -> None:
    answer = stand.post(
        {
            "to": ["a@b.example", "nobody", 5],
            "subject": "a\nb",
            "headers": {"Bcc": "x", "X-A": "1\n"},
            "tags": [{"name": "a b", "value": ""}],
            "attachments": [file(path="x", content="?"), {"content": [300]}],
            "provider": "ses",
            "template": {},
            "sujbect": "",
        }
    )

    assert faults(answer) == {
        ("from", "missing"),
        ("to[1]", "invalid_address"),
        ("to[2]", "wrong_type"),
        ("subject", "control_character"),
        ("text", "missing"),
        ("headers.Bcc", "reserved_header"),
        ("headers.X-A", "control_character"),
        ("tags[0].name", "invalid_name"),
        ("tags[0].value", "invalid_name"),
        ("attachments[0].path", "not_supported_yet"),
        ("attachments[0].content", "invalid_content"),
        ("attachments[1].filename", "missing"),
        ("attachments[1].content", "invalid_content"),
        ("provider", "unknown_provider"),
        ("template", "not_supported_yet"),
        ("sujbect", "unknown_field"),
    }


def test_a_misspelt_field_is_answered_with_the_right_name(stand: Stand) -> None:
    answer = stand.post(a_body(shedule_at="in 1 min"))

    assert "`scheduled_at`" in answer.json["message"]


def test_no_answer_repeats_an_address_or_a_body(stand: Stand) -> None:
    answer = stand.post(a_body(to=["secret person"], text="secret\0", subject=""))

    assert answer.status_code == 400
    assert "secret" not in answer.text


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null", b"true"])
def test_a_body_that_is_no_object_is_refused(stand: Stand, body: bytes) -> None:
    assert faults(stand.post_raw(body)) == {("", "wrong_type")}


def test_very_many_faults_are_cut(stand: Stand) -> None:
    attachments = [{"a": 1, "b": 2, "c": 3} for _ in range(100)]

    answer = stand.post(a_body(attachments=attachments))

    assert len(answer.json["errors"]) == MOST_FAULTS


@pytest.mark.parametrize(
    "body",
    [
        a_body(**{f"f{n}": n for n in range(100_000)}),
        a_body(tags=[{f"f{n}": n for n in range(100_000)}]),
        a_body(attachments=[{f"f{n}": n for n in range(100_000)}]),
        a_body(to=["x"] * 100_000),
        a_body(headers={f"x{n}": 1 for n in range(100_000)}),
    ],
    ids=["fields", "a tag", "a file", "addresses", "headers"],
)
def test_a_flood_of_names_costs_one_fault(stand: Stand, body: Any) -> None:
    answer = stand.post(body)

    assert answer.status_code == 400
    assert {code for _, code in faults(answer)} == {"too_many"}


def test_an_address_named_twice_gets_the_email_once(stand: Stand) -> None:
    answer = stand.post(
        a_body(
            to=["ada@example.com", "Ada <ADA@example.com>"],
            cc=["ada@example.com", "bob@example.com"],
            bcc="bob@Example.com",
        )
    )

    shown = stand.get(answer.headers["Location"]).json
    assert (shown["to"], shown["cc"], shown["bcc"]) == (
        ["ada@example.com"],
        ["bob@example.com"],
        [],
    )


@pytest.mark.parametrize(
    "content",
    [base64.b64encode(bytes(6_000)).decode(), [0] * 6_000],
    ids=["base64", "byte values"],
)
def test_decoded_mail_over_its_limit_is_refused_beside_other_faults(
    content: object,
) -> None:
    stand = Stand(options=Options(limits=Limits(mail_bytes=10_000)))

    answer = stand.post(
        a_body(subject="", attachments=[file(content=content), file(content=content)])
    )

    assert faults(answer) == {("attachments", "too_large"), ("subject", "empty")}


def test_limits_are_the_operators() -> None:
    limits = Limits(recipients=1, subject_chars=3, tags=0, headers=0, metadata_keys=0)
    stand = Stand(options=Options(limits=limits))

    answer = stand.post(
        a_body(
            to=["a@b.example", "c@d.example"],
            subject="long",
            tags=[{"name": "a", "value": "b"}],
            headers={"X-A": "1"},
            metadata={"a": "b"},
        )
    )

    assert faults(answer) == {
        ("to", "too_many"),
        ("subject", "too_long"),
        ("tags", "too_many"),
        ("headers", "too_many"),
        ("metadata", "too_many"),
    }
