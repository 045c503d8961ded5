"""When a request gets a thread: once it is there, in however many pieces it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.http.heard import LARGE_BODY, LONGEST_HEAD, Heard

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
_POST = b"POST /api/emails HTTP/1.1\r\nHost: x\r\n"

WHOLE = {
    "no body": GET,
    "an empty body": _POST + b"Content-Length: 0\r\n\r\n",
    "a body": _POST + b"content-length:  5 \r\nX: y\r\n\r\n{}   ",
    "chunks": _POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "no chunk": _POST + b"transfer-encoding: gzip, Chunked\r\n\r\n0\r\n\r\n",
    "an extension": _POST
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n00;a=b\r\n\r\n",
    "trailers": _POST
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\n0\r\n0\r\nA: b\r\n\r\n",
    "a whole one that expects": _POST
    + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
}


def heard(*pieces: bytes) -> Heard:
    one = Heard(until=0)
    for piece in pieces:
        one.add(piece)
    return one


@pytest.mark.parametrize("request_", WHOLE.values(), ids=list(WHOLE))
@given(data=st.data())
def test_a_request_is_enough_with_its_last_byte_and_not_before(
    request_: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(request_) - 1), max_size=8)))
    one = Heard(until=0)
    for start, end in zip([0, *cuts], [*cuts, len(request_)], strict=True):
        assert not one.is_enough
        one.add(request_[start:end])

    assert one.is_enough
    assert not one.is_flood
    assert bytes(one.bytes) == request_


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 9000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"],
    ids=["length", "chunks"],
)
def test_of_a_large_body_the_first_part_is_enough(head: bytes) -> None:
    assert not heard(_POST + head, b"x" * (LARGE_BODY - 1)).is_enough
    assert heard(_POST + head, b"x" * (LARGE_BODY - 1), b"x").is_enough


def test_who_expects_is_told_once_to_send_a_body_that_is_waited_for() -> None:
    small = heard(_POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert small.ask_for_leave()
    assert not small.ask_for_leave()


def test_who_expects_before_a_large_body_gets_a_thread_and_its_answer() -> None:
    large = heard(_POST + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")

    assert large.is_enough
    assert not large.ask_for_leave()


def test_headers_without_an_end_are_a_flood() -> None:
    one = heard(b"GET / HTTP/1.1\r\n", b"x" * LONGEST_HEAD)

    assert one.is_flood
    assert not one.is_enough
