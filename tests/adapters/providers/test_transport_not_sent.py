"""Calls of which nothing left, told over real sockets."""

import contextlib
import socket
import threading
import time
from datetime import timedelta
from typing import Any

from postroom.adapters.providers.transport import (
    Answer,
    Transport,
)
from postroom.domain.outcome import NotSent
from tests.adapters.providers.parts import PATIENCE, SHORT
from tests.adapters.providers.wire import (
    BOUND_S,
    REQUEST,
    a_transport,
    no_server,
)
from tests.fake_provider import FakeProvider


def test_a_refused_connection_sends_nothing() -> None:
    outcome = a_transport(no_server()).post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connection_refused"


def test_an_address_without_a_way_to_it_sends_nothing() -> None:
    def broadcast(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        # No TCP connection can be made to it, and no packet leaves.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port))]

    transport = a_transport("http://provider.example", resolver=broadcast)

    outcome = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "unreachable"


def test_a_name_that_is_not_found_sends_nothing() -> None:
    def nowhere(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    transport = a_transport("http://provider.example", resolver=nowhere)

    outcome = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "dns"


def test_a_name_that_cannot_be_one_sends_nothing() -> None:
    outcome = a_transport(f"http://{'a' * 64}.example").post(REQUEST, timeout=PATIENCE)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "dns"


def test_a_look_up_that_takes_too_long_sends_nothing() -> None:
    released = threading.Event()

    def stuck(*_: object, **__: object) -> list[tuple[Any, ...]]:
        released.wait(BOUND_S * 2)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    transport = a_transport("http://provider.example", resolver=stuck)
    began = time.monotonic()

    outcome = transport.post(REQUEST, timeout=SHORT)

    assert time.monotonic() - began < BOUND_S
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connect_timeout"
    released.set()


def test_a_connection_that_takes_too_long_sends_nothing() -> None:
    """A full backlog swallows the SYN, as a firewall does."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        outcome = a_transport(url).post(REQUEST, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connect_timeout"


def test_a_dead_address_leaves_time_for_the_next(fake: FakeProvider) -> None:
    with socket.socket() as dead, contextlib.ExitStack() as stack:
        # The same port on another loopback address, with a full backlog.
        dead.bind(("127.0.0.9", fake.port))
        dead.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(dead.getsockname())

        def both(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("127.0.0.9", "127.0.0.1")
            ]

        transport = a_transport(f"http://provider.example:{fake.port}", resolver=both)

        answer = transport.post(REQUEST, timeout=timedelta(seconds=3))

        transport.close()
    assert isinstance(answer, Answer)


def test_no_time_at_all_sends_nothing(fake: FakeProvider, transport: Transport) -> None:
    outcome = transport.post(REQUEST, timeout=timedelta(0))

    assert isinstance(outcome, NotSent)
    assert fake.calls == []
