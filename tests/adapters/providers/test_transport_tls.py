"""Encrypted calls over real sockets, and calls through a proxy."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postroom.adapters.providers.transport import (
    Answer,
)
from postroom.domain.outcome import NotSent, Unknown
from tests.adapters.providers.parts import PATIENCE, SHORT
from tests.adapters.providers.wire import (
    BOUND_S,
    REQUEST,
    a_transport,
    raw_server,
)
from tests.fake_provider import FakeProvider, Mode, Rule


def test_encrypted_connections_are_kept_and_used_again(
    secure_fake: FakeProvider, trusting: ssl.SSLContext
) -> None:
    transport = a_transport(secure_fake.url, tls=trusting)

    answers = [transport.post(REQUEST, timeout=PATIENCE) for _ in range(5)]

    transport.close()
    assert all(isinstance(answer, Answer) for answer in answers)
    assert secure_fake.connections == 1


def test_a_certificate_of_nobody_known_sends_nothing(
    secure_fake: FakeProvider,
) -> None:
    outcome = a_transport(secure_fake.url).post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"
    assert "self-signed" in outcome.detail
    assert secure_fake.calls == []


def test_a_certificate_of_another_name_sends_nothing(
    secure_fake: FakeProvider, trusting: ssl.SSLContext
) -> None:
    url = secure_fake.url.replace("127.0.0.1", "localhost")

    def local(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    outcome = a_transport(url, tls=trusting, resolver=local).post(
        REQUEST, timeout=PATIENCE
    )

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"
    assert secure_fake.calls == []


def test_a_handshake_with_a_plain_server_sends_nothing(fake: FakeProvider) -> None:
    url = fake.url.replace("http:", "https:")

    outcome = a_transport(url).post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"


def test_a_handshake_that_takes_too_long_sends_nothing() -> None:
    with raw_server(lambda _: None) as server:
        url = server.url.replace("http:", "https:")
        began = time.monotonic()

        outcome = a_transport(url).post(REQUEST, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connect_timeout"


def test_a_handshake_a_byte_at_a_time_is_bounded_as_a_whole() -> None:
    def drip(connection: socket.socket) -> None:
        # A record of a handshake that announces far more than comes.
        for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 200:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with raw_server(drip) as server:
        url = server.url.replace("http:", "https:")
        began = time.monotonic()

        outcome = a_transport(url).post(REQUEST, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S - 2
    assert isinstance(outcome, NotSent)


def test_an_encrypted_answer_a_byte_at_a_time_is_unknown(
    secure_fake: FakeProvider, trusting: ssl.SSLContext
) -> None:
    secure_fake.script(Rule(mode=Mode.SLOW))

    outcome = a_transport(secure_fake.url, tls=trusting).post(REQUEST, timeout=SHORT)

    assert outcome == Unknown(cause="timeout", detail="no complete answer in time")


def test_an_encrypted_call_through_a_proxy_is_tunnelled(
    secure_fake: FakeProvider, trusting: ssl.SSLContext
) -> None:
    with tunnel_proxy(secure_fake.port) as (proxy, asked):
        transport = a_transport(
            secure_fake.url, tls=trusting, proxy=f"http://u:p@{proxy}"
        )

        answer = transport.post(REQUEST, timeout=PATIENCE)

        transport.close()
    assert isinstance(answer, Answer)
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{secure_fake.port} ")
    assert "proxy-authorization: basic dtpw" in asked[0].lower()
    assert "Bearer" not in asked[0]


def test_a_proxy_that_refuses_sends_nothing() -> None:
    refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(refusal.encode())

    with raw_server(refuse) as proxy:
        transport = a_transport("https://provider.invalid", proxy=proxy.url)

        outcome = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "proxy"


@contextmanager
def tunnel_proxy(port: int) -> Iterator[tuple[str, list[str]]]:
    """Serve CONNECT to a port of this machine; notes what was asked."""
    asked: list[str] = []

    def handle(connection: socket.socket) -> None:
        asked.append(connection.recv(65536).decode())
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            back = threading.Thread(target=pump, args=(beyond, connection))
            back.start()
            pump(connection, beyond)
            back.join()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    with raw_server(handle) as server:
        yield server.url.removeprefix("http://"), asked
