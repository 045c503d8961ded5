"""What the tests of the transport share: raw servers, threads, a transport."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from postroom.adapters.providers.transport import (
    Request,
    Transport,
)

BODY = {
    "personalizations": [{"to": [{"email": "ada@example.com"}]}],
    "from": {"email": "post@shop.example"},
    "subject": "Hi",
    "content": [{"type": "text/plain", "value": "Hello"}],
}
REQUEST = Request(
    path="/v3/mail/send",
    content_type="application/json",
    body=json.dumps(BODY).encode(),
)

#: More than the sockets of both sides hold.
LARGE = Request(path="/v3", content_type="text/plain", body=b"x" * 20_000_000)

#: An upper bound on calls that run into `SHORT`, in seconds; only a hang reaches it.
BOUND_S = 10.0

OK = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: abc\r\n\r\n"


def a_transport(url: str, **options: Any) -> Transport:
    return Transport(url, headers={"Authorization": "Bearer x"}, **options)


@dataclass
class Bytes:
    """A server that does not speak HTTP: it does what a test says with each socket."""

    url: str
    accepted: list[socket.socket] = field(default_factory=list)


@contextmanager
def raw_server(handle: Callable[[socket.socket], None]) -> Iterator[Bytes]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Bytes(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.accepted.append(connection)
            with contextlib.suppress(OSError):
                handle(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in server.accepted:
            connection.close()


def answering(*answers: str) -> Callable[[socket.socket], None]:
    """Answer the requests of a connection with these bytes, then end it."""

    def handle(connection: socket.socket) -> None:
        for answer in answers:
            read_request(connection)
            connection.sendall(answer.encode("latin-1"))
        connection.shutdown(socket.SHUT_RDWR)

    return handle


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(REQUEST.body):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def no_server() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = []
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results.append(call(number))
        except BaseException as ex:  # noqa: BLE001 - told to the test below
            failures.append(ex)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return results


def wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + BOUND_S
    while not true():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.01)
