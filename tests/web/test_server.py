"""gunicorn as the Procfile starts it, over loopback."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import a_port
from tests.web.stand import a_body

pytestmark = pytest.mark.e2e

#: Bound on a start, an answer or a stop, in seconds; only a hang reaches it.
PATIENCE_S = 30.0

ROOT = Path(__file__).parents[2]

#: The application over the store in memory.
SERVED = "tests.web.served:create()"

HEADERS = {"Content-Type": "application/json"}


class Gunicorn:
    """One master with its workers, in a process group of its own."""

    def __init__(self, folder: Path, app: str = SERVED, **environ: str) -> None:
        self.port = a_port()
        self.home = folder / "home"
        self.home.mkdir()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn"),
                    *("-c", "python:postroom.http.server"),
                    app,
                ],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.home),
                    "TMPDIR": str(folder),  # what a kill leaves goes with it
                    "PORT": str(self.port),
                    "WEB_CONCURRENCY": "2",
                    **environ,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        # Both workers, or a signal may come before one of them handles it.
        deadline = time.monotonic() + PATIENCE_S
        while self.log.read_text().count("Booting worker") < 2 or not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        time.sleep(1)

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/health")[0] == 200
        except OSError:
            return False

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def call(
        self, method: str, path: str, body: Any = None
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        connection = self.connect()
        try:
            return exchange(connection, method, path, body)
        finally:
            connection.close()

    def is_port_open(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_S).close()
        except ConnectionError:
            return False
        return True


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
) -> tuple[int, http.client.HTTPMessage, Any]:
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.headers, json.loads(answer.read() or b"null")


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


@contextmanager
def serving(folder: Path, **given: str) -> Iterator[Gunicorn]:
    server = Gunicorn(folder, **given)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        print(server.log.read_text())  # shown with a failure


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


def test_a_body_over_the_cap_is_refused_before_it_is_sent(server: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(
            b"POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            b"\r\nContent-Length: 999999999\r\n\r\n{"
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
