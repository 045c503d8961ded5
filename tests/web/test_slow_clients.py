"""Slow clients wait for themselves: nobody else is kept from an answer."""

from __future__ import annotations

import contextlib
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.http.hearing import ARRIVAL_S
from tests.web.running import PATIENCE_S, Gunicorn, exchange, serving
from tests.web.slow_clients import KINDS, SlowClients
from tests.web.stand import a_body

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

#: Three times the threads of all processes.
SLOW = 100

#: In seconds. It takes milliseconds; where threads wait for slow clients it takes ten
#: seconds and more, for each that is in front.
BOUND_S = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    folder: Path = tmp_path_factory.mktemp("slow")
    with serving(folder) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_slow_clients_keep_nobody_from_a_201(
    server: Gunicorn, kind: str
) -> None:
    took = []
    with SlowClients(kind, SLOW).against(server.port):
        for _ in range(10):
            began = time.monotonic()
            status, _, _ = server.call("POST", "/api/emails", a_body())
            took.append(time.monotonic() - began)
            assert status == 201

    print(f"{kind}: {statistics.median(took):.3f} s, at most {max(took):.3f} s")
    assert max(took) < BOUND_S


@pytest.mark.parametrize("kind", ["slow headers", "slow body", "slow chunks"])
def test_a_request_that_does_not_arrive_is_ended(server: Gunicorn, kind: str) -> None:
    clients = SlowClients(kind, 3)
    deadline = time.monotonic() + ARRIVAL_S + PATIENCE_S
    with clients.against(server.port):
        while clients.closed < 3 and time.monotonic() < deadline:
            time.sleep(0.1)

    assert clients.closed == 3
    assert clients.answers == [b"HTTP/1.1 408 Request Timeout"] * 3


def test_headers_without_end_are_refused(server: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)

        assert sock.recv(65536).startswith(b"HTTP/1.1 431")


def test_requests_that_come_one_behind_the_other_are_all_answered(
    server: Gunicorn,
) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(ask + ask + ask[:10])
        time.sleep(0.2)
        sock.sendall(ask[10:])
        came = b""
        while came.count(b'{"name"') < 3:
            more = sock.recv(65536)
            assert more, came
            came += more

    assert came.count(b"HTTP/1.1 200 OK") == 3


def test_a_client_that_asks_first_is_told_to_send_its_body(server: Gunicorn) -> None:
    connection = server.connect()
    connection.putrequest("POST", "/api/emails")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "2")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    told = connection.sock.recv(1024)
    connection.send(b"{}")

    assert told.startswith(b"HTTP/1.1 100 Continue")
    assert connection.getresponse().status == 400
    connection.close()


def test_a_large_body_is_read_to_its_end(server: Gunicorn) -> None:
    body = a_body(html="x" * 5_000_000)
    connection = server.connect()

    first, _, _ = exchange(connection, "POST", "/api/emails", body)
    second, _, _ = exchange(connection, "POST", "/api/emails", body)
    connection.close()

    assert (first, second) == (201, 201)
