"""A worker's own /metrics, over real sockets."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import structlog

from postroom.adapters import metrics_listener
from postroom.adapters.metrics_listener import listen
from postroom.adapters.secret import Secret
from postroom.cli.embedded import free_port


def page(accept: str) -> tuple[bytes, str]:
    return f"postroom_asked 1 # {accept}\n".encode(), "text/plain; version=0.0.4"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack, port: int, *, key: Secret | None = None) -> int:
    """Listen until the test ends, and return the port that it came to."""
    server = listen(port, page, key=key)
    assert server is not None
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return server.server_port


def get(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as ex:
        answer = ex
    with answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_the_page_is_answered(stack: ExitStack) -> None:
    port = listening(stack, free_port())

    status, content_type, text = get(port, Accept="text/plain")

    assert (status, content_type) == (200, "text/plain; version=0.0.4")
    assert text == "postroom_asked 1 # text/plain\n"


def test_nothing_else_is(stack: ExitStack) -> None:
    port = listening(stack, free_port())

    assert get(port, "/")[0] == 404
    assert get(port, "/metrics/../etc")[0] == 404


def test_with_a_key_only_its_holder_gets_an_answer(stack: ExitStack) -> None:
    port = listening(stack, free_port(), key=Secret("watching"))

    assert get(port)[0] == 401
    assert get(port, Authorization="Bearer sending")[0] == 401
    assert get(port, Authorization="Basic watching")[0] == 401
    assert get(port, Authorization="Bearer watching")[0] == 200


def test_a_second_process_takes_the_next_free_port(stack: ExitStack) -> None:
    first = listening(stack, free_port())

    second = listening(stack, first)

    assert first < second < first + metrics_listener.PORTS
    assert get(first)[0] == get(second)[0] == 200


def test_a_process_without_a_free_port_goes_on_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics_listener, "PORTS", 1)
    with socket.socket() as taken, structlog.testing.capture_logs() as logs:
        taken.bind(("", 0))
        taken.listen()

        server = listen(taken.getsockname()[1], page)

    assert server is None
    assert [line["event"] for line in logs] == ["metrics.no_port"]


def test_no_port_above_the_last_is_tried() -> None:
    with socket.socket() as taken:
        taken.bind(("", 65_535))
        taken.listen()

        assert listen(65_535, page) is None


def test_a_caller_that_says_nothing_keeps_nobody_waiting(stack: ExitStack) -> None:
    port = listening(stack, free_port())

    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.send(b"GET /met")

        assert get(port)[0] == 200
