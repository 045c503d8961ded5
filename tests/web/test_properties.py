"""Whatever comes in, it is accepted whole or refused; never a 500."""

import base64
import email
import email.policy
import json
import re
import time
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postroom.http import file_checks
from tests.web.stand import Stand, a_body

#: One stand for all examples: nothing of one request reaches the next.
STAND = Stand()

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck)
)

#: Text with the characters that break things; surrogates only as JSON escapes.
NASTY = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(
            '\0\t\n\v\f\r\x1b\x7f\x85\x9f\u2028\u2029\u202e\ufeff@<>",:;\\'
        ),
    ),
    max_size=60,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NASTY,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NASTY | st.sampled_from(list(a_body())), inner, max_size=4)
    ),
    max_leaves=12,
)

FIELDS = [
    *("from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "headers"),
    *("attachments", "tags", "metadata", "scheduled_at", "delivery", "provider"),
    *("priority", "title", "content", "template", "topic_id"),
]

NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@quick
@given(st.dictionaries(st.sampled_from(FIELDS) | NASTY, JSON, max_size=6))
def test_any_json_is_accepted_or_refused(fields: dict[str, Any]) -> None:
    answer = STAND.post(a_body() | fields)

    assert answer.status_code in (201, 400)
    if answer.status_code == 400:
        assert answer.json["errors"]


@quick
@given(st.binary(max_size=200))
@example(b'{"to":"\\ud800\\udfff\\udfff"}')
def test_any_bytes_are_accepted_or_refused(body: bytes) -> None:
    assert STAND.post_raw(body).status_code in (201, 400)


@quick
@given(st.sampled_from(["subject", "text", "html"]), NASTY)
def test_accepted_text_is_shown_as_it_came(field: str, text: str) -> None:
    answer = STAND.post(a_body(**{field: text}))

    if answer.status_code == 201 and text:
        assert STAND.get(answer.headers["Location"]).json[field] == text


@quick
@given(
    st.sampled_from(
        ["from", "to", "cc", "bcc", "reply_to", "subject", "header", "tag", "key"]
    ),
    NASTY,
)
def test_no_field_of_one_line_ever_holds_a_control_character(
    field: str, text: str
) -> None:
    several: dict[str, dict[str, Any]] = {
        "header": {"headers": {"X-A": text}},
        "tag": {"tags": [{"name": text, "value": text}]},
        "key": {"metadata": {text: text}},
    }

    answer = STAND.post(a_body(**several.get(field, {field: text})))

    if NOT_IN_A_LINE.search(text):
        assert answer.status_code == 400


@quick
@given(
    st.dictionaries(NASTY | st.from_regex(r"\A[A-Za-z-]{1,20}\Z"), NASTY, max_size=3)
)
@example({"X-A\r\nBcc": "x@y.example"})
@example({"X-A": "1\r\nBcc: x@y.example"})
def test_accepted_headers_add_no_header_when_they_are_written_out(
    headers: dict[str, str],
) -> None:
    if STAND.post(a_body(headers=headers)).status_code != 201:
        return

    message = EmailMessage(email.policy.SMTP)
    for name, value in headers.items():
        message[name] = value
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.SMTP)

    assert [name.lower() for name in read] == [name.lower() for name in headers]


@quick
@given(st.binary(min_size=1, max_size=300), st.integers(1, 80))
def test_a_file_is_decoded_to_the_bytes_it_was_made_of(data: bytes, wrap: int) -> None:
    text = base64.b64encode(data).decode()
    lines = "\r\n".join(text[i : i + wrap] for i in range(0, len(text), wrap))

    assert file_checks.file_content(text) == data
    assert file_checks.file_content(lines) == data
    assert file_checks.file_content(list(data)) == data
    assert file_checks.file_content({"type": "Buffer", "data": list(data)}) == data
    assert (
        file_checks.decoded_size(lines)
        == file_checks.decoded_size(list(data))
        == len(data)
    )


LONG = {
    "addresses": {"to": "a" * 300_000 + "@" + "b." * 300_000},
    "an address of brackets": {"to": "<" * 600_000},
    "an address of quotes": {"to": '"' + "\\" * 600_000},
    "at signs": {"from": "@" * 600_000},
    "a subject": {"subject": "\u202e" * 300_000},
    "a text": {"text": "\t\r\n " * 300_000 + "\0"},
    "a time": {"scheduled_at": "1" * 600_000},
    "a media type": {
        "attachments": [
            {
                "filename": "a" * 300_000,
                "content": "=" * 600_000,
                "content_type": "a/" + "a;" * 300_000,
                "content_id": "<" * 300_000,
            }
        ]
    },
    "a header": {"headers": {"X-" + "a" * 300_000: " " * 300_000}},
    "a tag": {"tags": [{"name": "a" * 600_000, "value": "_" * 600_000 + "!"}]},
    "an unknown field": {"x" * 600_000: 1},
}


@pytest.mark.parametrize("fields", LONG.values(), ids=list(LONG))
def test_long_values_take_linear_time_and_come_back_short(
    fields: dict[str, Any],
) -> None:
    started = time.perf_counter()
    answer = STAND.post(a_body(**fields))

    assert time.perf_counter() - started < 2
    assert answer.status_code == 400
    assert len(json.dumps(answer.json)) < 10_000
