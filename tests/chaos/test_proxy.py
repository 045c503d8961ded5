"""The proxy does to a connection what it is told, and mends it again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Mode, Order, Proxies

#: Bound on any wait, in seconds; only a fault of the proxy reaches it.
PATIENCE_S = 10.0


class Echo:
    """Answers each message with itself, and notes it."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,)).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    self.heard += data
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def proxies(echo: Echo) -> Iterator[Proxies]:
    made = Proxies().start({"echo": echo.port, "nobody": 1})
    yield made
    made.stop()


def connect(proxies: Proxies, leg: str = "echo") -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxies.ports[leg]), PATIENCE_S)


def ask(connection: socket.socket, what: bytes = b"hello") -> bytes:
    connection.sendall(what)
    return receive(connection, len(what))


def receive(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (more := connection.recv(size - len(got))):
        got += more
    return got


def test_everything_passes_until_it_is_told_otherwise(proxies: Proxies) -> None:
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"
        assert ask(connection, b"x" * 200_000) == b"x" * 200_000


def test_a_dropped_reply_was_asked_for(proxies: Proxies, echo: Echo) -> None:
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"
        proxies.set("echo", Order(mode=Mode.DROP, chance=1.0))

        with pytest.raises(ConnectionResetError):
            ask(connection, b"again")

    assert echo.heard == b"helloagain"
    proxies.set("echo")
    assert proxies.hits["echo"] == 1
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"


def test_so_many_replies_are_dropped_and_no_more(proxies: Proxies) -> None:
    proxies.set("echo", Order(mode=Mode.DROP, chance=1.0, times=1))

    with pytest.raises(ConnectionResetError), connect(proxies) as connection:
        ask(connection)
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"


def test_a_reset_ends_open_and_new_connections(proxies: Proxies, echo: Echo) -> None:
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"
        proxies.set("echo", Order(mode=Mode.RESET))

        with pytest.raises(ConnectionError):
            ask(connection, b"again")
    with pytest.raises(ConnectionError), connect(proxies) as another:
        ask(another, b"again")
    assert echo.heard == b"hello"


def test_a_late_reply_is_late(proxies: Proxies) -> None:
    proxies.set("echo", Order(mode=Mode.LATENCY, pause_s=0.3))
    with connect(proxies) as connection:
        began = time.monotonic()

        assert ask(connection) == b"hello"

        assert time.monotonic() - began >= 0.3


def test_what_fell_into_the_black_hole_comes_out_when_it_closes(
    proxies: Proxies, echo: Echo
) -> None:
    with connect(proxies) as connection:
        assert ask(connection) == b"hello"
        proxies.set("echo", Order(mode=Mode.BLACKHOLE))
        connection.sendall(b"again")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(5)
        assert echo.heard == b"hello"

        proxies.set("echo")

        connection.settimeout(PATIENCE_S)
        assert receive(connection, 5) == b"again"


def test_a_slow_reply_comes_byte_by_byte_until_that_is_over(proxies: Proxies) -> None:
    proxies.set("echo", Order(mode=Mode.SLOW, pause_s=0.05))
    with connect(proxies) as connection:
        connection.sendall(b"x" * 1000)
        first = connection.recv(1000)

        proxies.set("echo")

        assert len(first) < 100
        assert len(first) + len(receive(connection, 1000 - len(first))) == 1000


def test_one_leg_does_not_disturb_another(proxies: Proxies) -> None:
    proxies.set("nobody", Order(mode=Mode.RESET))

    with connect(proxies) as connection:
        assert ask(connection) == b"hello"


def test_where_nobody_listens_the_connection_is_reset(proxies: Proxies) -> None:
    with pytest.raises(ConnectionError), connect(proxies, "nobody") as connection:
        ask(connection)
