"""Calls of which nobody knows what became, told over real sockets."""

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from postroom.adapters.providers.transport import (
    MAX_ANSWER_BYTES,
    Answer,
    Transport,
)
from postroom.domain.outcome import Unknown
from tests.adapters.providers.parts import PATIENCE, SHORT
from tests.adapters.providers.wire import (
    BOUND_S,
    LARGE,
    OK,
    REQUEST,
    a_transport,
    answering,
    raw_server,
    read_request,
)
from tests.fake_provider import FakeProvider, Mode, Rule


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        pytest.param(Rule(mode=Mode.HANG), "timeout", id="no answer"),
        pytest.param(Rule(mode=Mode.HANG, accepts=True), "timeout", id="accepted"),
        pytest.param(Rule(mode=Mode.SLOW), "timeout", id="a byte at a time"),
        pytest.param(Rule(mode=Mode.DROP), "reset", id="reset"),
        pytest.param(Rule(mode=Mode.DROP, accepts=True), "reset", id="taken, reset"),
        pytest.param(Rule(mode=Mode.CUT, cut_at=0), "reset", id="closed"),
        pytest.param(Rule(mode=Mode.CUT, cut_at=7), "truncated", id="cut in line 1"),
        pytest.param(Rule(mode=Mode.CUT, cut_at=24), "truncated", id="after line 1"),
        pytest.param(Rule(mode=Mode.CUT, cut_at=60), "truncated", id="cut in head"),
        pytest.param(
            Rule(mode=Mode.CUT, status=400, body="{}" * 50, cut_at=150),
            "truncated",
            id="cut in body",
        ),
        pytest.param(Rule(mode=Mode.GARBAGE), "garbage", id="not HTTP"),
    ],
)
def test_without_a_usable_answer_nobody_knows(
    fake: FakeProvider, transport: Transport, rule: Rule, cause: str
) -> None:
    fake.script(rule)
    began = time.monotonic()
    late = cause == "timeout"

    outcome = transport.post(REQUEST, timeout=SHORT if late else PATIENCE)

    assert time.monotonic() - began < BOUND_S
    assert isinstance(outcome, Unknown)
    assert outcome.cause == cause


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: ab",
            "truncated",
            id="a head cut in the id",
        ),
        pytest.param(
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: abc\r\n",
            "truncated",
            id="a head without its last line",
        ),
        pytest.param(
            "HTTP/1.1 202 Accepted\r\nX-Message-Id: abc\r\n\r\n",
            "truncated",
            id="a success of no stated length",
        ),
        pytest.param(
            "HTTP/1.1 202 Accepted\r\nContent-Length: nine\r\n\r\n",
            "truncated",
            id="a length that is no number",
        ),
        pytest.param(
            "HTTP/1.1 202 Accepted\r\nContent-Length: -1\r\n\r\n",
            "truncated",
            id="a negative length",
        ),
        pytest.param(
            "HTTP/1.0 200 OK\r\n\r\n{}",
            "truncated",
            id="HTTP 1.0 without a length",
        ),
        pytest.param(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabc",
            "garbage",
            id="two lengths",
        ),
        pytest.param(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nx",
            "truncated",
            id="chunks cut short",
        ),
        pytest.param(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
            "truncated",
            id="chunks that are none",
        ),
        pytest.param(
            f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER_BYTES + 1}\r\n\r\n"
            + "x" * (MAX_ANSWER_BYTES + 1),
            "garbage",
            id="a body that is too large",
        ),
        pytest.param(
            f"HTTP/1.1 200 OK\r\nX-Long: {'x' * 70_000}\r\nContent-Length: 0\r\n\r\n",
            "garbage",
            id="a line that is too long",
        ),
        pytest.param(
            "HTTP/1.1 200 OK\r\n" + "X-Many: 1\r\n" * 200 + "Content-Length: 0\r\n\r\n",
            "garbage",
            id="too many headers",
        ),
        pytest.param(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
            "garbage",
            id="early hints",
        ),
        pytest.param("HTTP/1.1 99 Odd\r\n\r\n", "garbage", id="a status below 100"),
        pytest.param("HTTP/9.9 200 OK\r\n\r\n", "garbage", id="an unknown version"),
        pytest.param("SSH-2.0-OpenSSH_9.9\r\n", "garbage", id="another protocol"),
    ],
)
def test_what_is_not_one_whole_answer_is_no_success(answer: str, cause: str) -> None:
    with raw_server(answering(answer)) as server:
        outcome = a_transport(server.url).post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, Unknown)
    assert outcome.cause == cause


def test_a_head_that_the_watchdog_cuts_is_no_answer() -> None:
    """http.client takes our own shutting down for the end of the head."""

    def stall(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK.removesuffix("\r\n").encode())
        connection.recv(1)

    with raw_server(stall) as server:
        outcome = a_transport(server.url).post(REQUEST, timeout=SHORT)

    assert outcome == Unknown(cause="timeout", detail="no complete answer in time")


def test_the_last_answer_of_a_connection_is_bounded_too() -> None:
    """http.client closes its socket before it reads a `Connection: close` body."""
    head = "HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 500\r\n\r\n"

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head.encode())
        for _ in range(500):
            connection.sendall(b"x")
            time.sleep(0.05)

    with raw_server(drip) as server:
        began = time.monotonic()

        outcome = a_transport(server.url).post(REQUEST, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S
    assert outcome == Unknown(cause="timeout", detail="no complete answer in time")


def test_endless_interim_answers_are_bounded() -> None:
    def drip(connection: socket.socket) -> None:
        read_request(connection)
        for _ in range(400):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.02)

    with raw_server(drip) as server:
        outcome = a_transport(server.url).post(REQUEST, timeout=SHORT)

    assert outcome == Unknown(cause="timeout", detail="no complete answer in time")


def test_a_request_that_nobody_reads_is_bounded() -> None:
    with raw_server(lambda _: None) as server:
        began = time.monotonic()

        outcome = a_transport(server.url).post(LARGE, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S
    # The end of the time is seen by the socket or, a moment later, by the watchdog.
    assert isinstance(outcome, Unknown)
    assert outcome.cause == "timeout"


def early(answer: str) -> Callable[[socket.socket], None]:
    """Answer after the head of the request, and throw the rest away."""

    def handle(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(answer.encode())
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    return handle


def test_a_refusal_before_the_end_of_the_request_is_an_answer() -> None:
    refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    with raw_server(early(refusal)) as server:
        transport = a_transport(server.url)

        answer = transport.post(LARGE, timeout=PATIENCE)

        transport.close()

    assert isinstance(answer, Answer)
    assert answer.status == 413


def test_an_acceptance_of_an_unfinished_request_is_no_acceptance() -> None:
    def rude(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(OK.encode())
        connection.close()

    with raw_server(rude) as server:
        outcome = a_transport(server.url).post(LARGE, timeout=PATIENCE)

    assert isinstance(outcome, Unknown)
    assert outcome.cause in {"garbage", "reset"}
