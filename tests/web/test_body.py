"""The body of a request: bounded, JSON, and nothing that could not be kept."""

import gzip
import io
import json
from typing import Any

import falcon.testing
import pytest

from postroom.http.body import MOST_PARTS
from postroom.http.options import Limits, Options
from tests.web.stand import Stand, a_body, faults

MALFORMED = {
    "nothing": b"",
    "blanks": b" \r\n",
    "half": b'{"to": ["a',
    "two": b"{}{}",
    "a hundred thousand arrays": b"[" * 100_000,
    "a hundred thousand closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "forty thousand objects": b'{"a":' * 40_000,
    "NaN": b'{"to": NaN}',
    "Infinity": b'{"to": -Infinity}',
    "a number of 5000 digits": b'{"to": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"to": "\xff"}',
    "the bytes of a surrogate": b'{"to": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"subject": "\\ud800"}',
    "half a surrogate pair, low": b'{"subject": "\\uDFFF"}',
    "half a surrogate pair in a name": b'{"\\ud83d": 1}',
    "half a surrogate pair far inside": b'{"a": [{"b": ["\\ud83d!"]}]}',
    "UTF-16": "{}".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a name twice": b'{"subject": "a", "subject": "b"}',
    "a name twice inside": b'{"headers": {"X-A": "1", "X-A": "2"}}',
    "a form": b"to=a@b.example&subject=Hi",
    "gzip": gzip.compress(b"{}"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_not_json_is_400(stand: Stand, body: bytes) -> None:
    answer = stand.post_raw(body)

    assert answer.status_code == 400
    assert answer.json["name"] == "validation_error"
    assert faults(answer) == {("", "malformed_json")}


def test_a_whole_surrogate_pair_is_a_character(stand: Stand) -> None:
    body = json.dumps(a_body(subject="🌞")).encode()
    assert b"\\ud83c" in body

    answer = stand.post_raw(body)

    assert stand.get(answer.headers["Location"]).json["subject"] == "🌞"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ],
)
def test_another_media_type_is_415(stand: Stand, content_type: str) -> None:
    answer = stand.post_raw(json.dumps(a_body()).encode(), Content_Type=content_type)

    assert answer.status_code == 415
    assert answer.json["name"] == "unsupported_media_type"


@pytest.mark.parametrize("coding", ["gzip", "BR", "identity, gzip"])
def test_a_compressed_body_is_415(stand: Stand, coding: str) -> None:
    answer = stand.post_raw(json.dumps(a_body()).encode(), Content_Encoding=coding)

    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json["message"]
    assert answer.headers["Accept-Encoding"] == "identity"


def test_a_body_that_says_it_is_as_it_is_is_taken(stand: Stand) -> None:
    body = json.dumps(a_body()).encode()

    assert stand.post_raw(body, Content_Encoding="Identity").status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
    ],
)
def test_json_is_taken_however_its_type_is_written(
    stand: Stand, content_type: str
) -> None:
    body = json.dumps(a_body()).encode()

    assert stand.post_raw(body, Content_Type=content_type).status_code == 201


class Counting(io.BytesIO):
    """A body that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


class Stalled(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise TimeoutError


def call(stand: Stand, stream: io.BytesIO, **environ: Any) -> tuple[str, Any]:
    """Post a stream with a WSGI environment of our own."""
    env = falcon.testing.create_environ(
        "/api/emails", method="POST", headers={"Content-Type": "application/json"}
    )
    env.update({"wsgi.input": stream, **environ})
    started = falcon.testing.StartResponseMock()
    body = b"".join(stand.app(env, started))
    return started.status or "", json.loads(body)


LIMIT = 100_000


@pytest.fixture
def small() -> Stand:
    return Stand(options=Options(limits=Limits(body_bytes=LIMIT)))


def test_a_declared_length_over_the_cap_is_413_and_nothing_is_read(
    small: Stand,
) -> None:
    stream = Counting(b"x" * (LIMIT + 1))

    status, body = call(small, stream, CONTENT_LENGTH=str(LIMIT + 1))

    assert status.startswith("413")
    assert body["name"] == "body_too_large"
    assert stream.taken == 0


def test_an_undeclared_length_over_the_cap_is_413_at_the_cap(small: Stand) -> None:
    stream = Counting(b"x" * (50 * LIMIT))

    status, _ = call(small, stream, **{"wsgi.input_terminated": True})

    assert status.startswith("413")
    assert stream.taken <= LIMIT + 1


def test_a_body_of_just_the_cap_is_read(small: Stand) -> None:
    body = json.dumps(a_body()).encode()
    padded = body + b" " * (LIMIT - len(body))

    status, _ = call(small, Counting(padded), CONTENT_LENGTH=str(LIMIT))

    assert status.startswith("201")


def test_a_body_that_ends_before_its_length_is_400(small: Stand) -> None:
    body = json.dumps(a_body()).encode()

    status, answer = call(
        small,
        Counting(body),
        **{"CONTENT_LENGTH": str(len(body) + 1), "wsgi.input_terminated": True},
    )

    assert status.startswith("400")
    assert "shorter" in answer["message"]


def test_a_body_that_stops_coming_is_408(small: Stand) -> None:
    status, body = call(small, Stalled(), **{"wsgi.input_terminated": True})

    assert status.startswith("408")
    assert body["name"] == "request_timeout"


def test_a_length_that_is_no_number_is_400(small: Stand) -> None:
    status, _ = call(small, Counting(b"{}"), CONTENT_LENGTH="many")

    assert status.startswith("400")


def test_more_strings_and_arrays_than_any_email_has_are_not_parsed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_text: str) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("postroom.http.body._parse", parse)
    for many in (b"[]," * MOST_PARTS, b'"a\\"[",' * MOST_PARTS):
        answer = stand.post_raw(b'{"to": [' + many + b"1]}")

        assert answer.status_code == 400
        assert faults(answer) == {("", "too_many")}


def test_a_large_body_with_brackets_in_its_text_is_accepted(stand: Stand) -> None:
    html = '<a href="x">[{' * MOST_PARTS

    assert stand.post(a_body(html=html)).status_code == 201
