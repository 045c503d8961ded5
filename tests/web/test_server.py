"""gunicorn as the Procfile starts it, over loopback."""

import http.client
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.http.heard import LARGE_BODY
from tests.web.running import HEADERS, PATIENCE_S, Gunicorn, exchange, serving
from tests.web.stand import a_body

pytestmark = pytest.mark.e2e


class InHand:
    """A POST that takes a while, made by a thread of its own."""

    def __init__(self, server: Gunicorn, sleep_s: float) -> None:
        self._server = server
        self._body = a_body(metadata={"sleep_s": str(sleep_s)})
        self.status: int | None = None
        self._thread = threading.Thread(target=self._post)
        self._thread.start()
        time.sleep(0.5)  # until it is in hand

    def _post(self) -> None:
        self.status = self._server.call("POST", "/api/emails", self._body)[0]

    def wait(self) -> int | None:
        self._thread.join(PATIENCE_S)
        return self.status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    with serving(tmp_path) as server:
        yield server


@pytest.mark.parametrize("whole_group", [False, True], ids=["master", "whole group"])
def test_sigterm_refuses_new_requests_then_closes_the_port_and_finishes_those_in_hand(
    server: Gunicorn, whole_group: bool
) -> None:
    kept_alive = server.connect()
    exchange(kept_alive, "GET", "/health")
    slow = InHand(server, sleep_s=5)

    if whole_group:
        os.killpg(server.process.pid, signal.SIGTERM)
    else:
        os.kill(server.process.pid, signal.SIGTERM)
    time.sleep(0.7)
    refused = [server.call("POST", "/api/emails", a_body()) for _ in range(5)]
    refused.append(exchange(kept_alive, "GET", "/health"))
    kept_alive.close()
    still_open = server.is_port_open()
    time.sleep(2.3)
    open_later = server.is_port_open()
    in_hand_then = slow.status

    assert [status for status, _, _ in refused] == [503] * 6
    assert {headers["Retry-After"] for _, headers, _ in refused} == {"1"}
    assert {body["name"] for _, _, body in refused} == {"stopping"}
    assert still_open
    assert not open_later
    assert in_hand_then is None
    assert slow.wait() == 201
    assert server.process.wait(PATIENCE_S) == 0


def test_a_reload_refuses_nobody(server: Gunicorn) -> None:
    slow = InHand(server, sleep_s=2)

    os.kill(server.process.pid, signal.SIGHUP)
    statuses = set()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        statuses.add(server.call("GET", "/health")[0])
        time.sleep(0.01)

    assert statuses == {200}
    assert slow.wait() == 201
    assert server.log.read_text().count("Booting worker") == 4


def test_an_idle_connection_does_not_hold_up_the_stop(server: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S):
        time.sleep(6)  # gunicorn then puts it aside, for as long as keepalive
        started = time.monotonic()
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(PATIENCE_S)

    assert time.monotonic() - started < 15


def test_nothing_is_left_in_the_home_directory(server: Gunicorn) -> None:
    server.call("GET", "/health")

    os.kill(server.process.pid, signal.SIGTERM)
    server.process.wait(PATIENCE_S)

    assert list(server.home.iterdir()) == []


def test_a_chunked_body_is_read_to_its_end(server: Gunicorn) -> None:
    connection = server.connect()
    body = json.dumps(a_body()).encode()

    connection.request(
        "POST",
        "/api/emails",
        iter([body[:20], body[20:]]),
        HEADERS,
        encode_chunked=True,
    )

    assert connection.getresponse().status == 201
    connection.close()


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n\r\n", b"2\r\n{}}}\r\n0\r\n\r\n"], ids=["size", "end"]
)
def test_broken_chunks_are_a_400(server: Gunicorn, chunks: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(
            b"POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        )
        sock.shutdown(socket.SHUT_WR)

        assert sock.recv(65536).startswith(b"HTTP/1.1 400")
    assert "http.crash" not in server.log.read_text()


#: Heads that no server can read, with what a log must not hold, and the answer.
SECRET = "canary@example.com"
UNREADABLE = {
    "a space in the address": (f"GET /api/emails?to=Ada {SECRET} HTTP/1.1", "", 400),
    "an old protocol": (f"GET /api/emails?to={SECRET}", "", 400),
    "a header in two lines": ("GET /health HTTP/1.1", f"X-A: b\r\n {SECRET}", 400),
    "a header without a name": ("GET /health HTTP/1.1", f"Bearer {SECRET}", 400),
    "a space before the colon": ("GET /health HTTP/1.1", f"{SECRET} : 1", 400),
    "two lengths": (
        "POST /api/emails HTTP/1.1",
        "Content-Length: 2\r\nContent-Length: 3",
        400,
    ),
    "a length and chunks": (
        "POST /api/emails HTTP/1.1",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        400,
    ),
    "another coding": (
        "POST /api/emails HTTP/1.1",
        f"Transfer-Encoding: {SECRET}",
        501,
    ),
    "another expectation": ("GET /health HTTP/1.1", f"Expect: {SECRET}", 417),
    "a long address": (f"GET /{SECRET}{'x' * 9000} HTTP/1.1", "", 414),
    "a long header": ("GET /health HTTP/1.1", f"X: {SECRET}{'x' * 9000}", 431),
    "many headers": ("GET /health HTTP/1.1", "\r\n".join(["X: 1"] * 200), 431),
}


def test_what_cannot_be_read_is_answered_as_any_error_and_not_repeated(
    server: Gunicorn,
) -> None:
    for name, (line, headers, status) in UNREADABLE.items():
        head = "\r\n".join(filter(None, (line, "Host: x", headers)))
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
            body = "0\r\n\r\n" if line.startswith("POST") else ""
            sock.sendall(f"{head}\r\n\r\n{body}".encode())
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            told = json.loads(answer.read())

        assert (answer.status, told["statusCode"]) == (status, status), name
        assert answer.headers["Content-Type"] == "application/json", name
        assert {"name", "message", "type", "errors", "request_id"} <= set(told), name
        assert "canary" not in str(told), name
    assert "canary" not in server.log.read_text()
    assert server.log.read_text().count("http.unreadable") == len(UNREADABLE)


def test_no_client_moves_its_request_to_another_path(server: Gunicorn) -> None:
    connection = server.connect()
    connection.request("GET", "/health", headers={"SCRIPT_NAME": "/health"})

    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9000000", b"Transfer-Encoding: chunked"]
)
def test_a_client_that_goes_away_is_no_crash(server: Gunicorn, framing: bytes) -> None:
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    sock.sendall(
        b"POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + framing
        + b"\r\n\r\n80000\r\n"
        + b" " * LARGE_BODY
    )
    time.sleep(0.3)
    # A reset, not an end.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()

    deadline = time.monotonic() + PATIENCE_S
    while "status=400" not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)
    assert "http.crash" not in server.log.read_text()


def test_a_body_over_the_cap_is_refused_before_it_is_sent(server: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(
            b"POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            b"\r\nContent-Length: 999999999\r\n\r\n" + b" " * LARGE_BODY
        )

        answer = sock.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_chunked_body_over_the_cap_is_refused_before_its_end(
    server: Gunicorn,
) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(
            b"POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(15 * 1024 * 1024 // 0x10000 + 1):
            sock.sendall(chunk)

        answer = sock.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_stack_with_wrong_settings_says_all_that_is_wrong_and_does_not_start(
    tmp_path: Path,
) -> None:
    server = Gunicorn(tmp_path, POSTROOM_LEASE_S="soon", POSTROOM_MAX_AGE_H="old")

    assert server.process.wait(PATIENCE_S) != 0
    said = server.log.read_text()
    assert "POSTROOM_LEASE_S" in said
    assert "POSTROOM_MAX_AGE_H" in said
    assert "Traceback" not in said


def test_the_whole_application_stores_an_email_and_shows_it(
    tmp_path: Path, mongo_database_uri: str, redis_url: str
) -> None:
    with serving(
        tmp_path,
        app="postroom.http.wsgi:create()",
        MONGODB_URI=mongo_database_uri,
        REDIS_URL=redis_url,
    ) as server:
        status, headers, accepted = server.call("POST", "/api/emails", a_body())
        _, _, shown = server.call("GET", headers["Location"])
        _, _, ready = server.call("GET", "/ready")

    assert status == 201
    assert shown["id"] == accepted["id"]
    assert ready["ready"] is True
    said = server.log.read_text()
    assert "whoever reaches the port can send" in said
    assert "ada@example.com" not in said
