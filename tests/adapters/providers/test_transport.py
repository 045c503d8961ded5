"""Calls over real sockets: what comes back, and which connections carry them."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from postroom.adapters.providers.idle import MAX_IDLE
from postroom.adapters.providers.transport import (
    Answer,
    Request,
    Transport,
)
from postroom.domain.outcome import Unknown
from tests.adapters.providers.parts import PATIENCE, SHORT
from tests.adapters.providers.wire import (
    BODY,
    BOUND_S,
    OK,
    REQUEST,
    a_transport,
    in_threads,
    no_server,
    raw_server,
    read_request,
    wait_until,
)
from tests.fake_provider import FakeProvider, Mode, Rule


def test_a_complete_answer_comes_back_whole(
    fake: FakeProvider, transport: Transport
) -> None:
    fake.script(
        Rule(mode=Mode.STATUS, status=418, body='{"a":1}', headers={"X-Odd": "yes"})
    )

    answer = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (418, b'{"a":1}')
    assert answer.headers["x-odd"] == "yes"


def test_a_chunked_answer_comes_back_whole(
    fake: FakeProvider, transport: Transport
) -> None:
    chunks = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    fake.script(Rule(mode=Mode.RAW, raw=head + chunks))

    answer = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(answer, Answer)
    assert answer.body == b"abcde"


def test_redirects_are_answers_and_are_not_followed(
    fake: FakeProvider, transport: Transport
) -> None:
    elsewhere = {"Location": f"{fake.url}/v3/mail/send"}
    fake.script(Rule(mode=Mode.STATUS, status=302, headers=elsewhere, times=1))

    answer = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(answer, Answer)
    assert answer.status == 302
    assert len(fake.calls) == 1


def test_answers_are_asked_for_and_left_uncompressed(
    fake: FakeProvider, transport: Transport
) -> None:
    fake.script(
        Rule(
            mode=Mode.STATUS,
            status=400,
            body="\x1f\x8b not gzip",
            headers={"Content-Encoding": "gzip"},
        )
    )

    answer = transport.post(REQUEST, timeout=PATIENCE)

    assert fake.calls[0].headers["accept-encoding"] == "identity"
    assert isinstance(answer, Answer)
    assert answer.body == "\x1f\x8b not gzip".encode()


def test_the_path_of_the_url_stands_before_every_call(fake: FakeProvider) -> None:
    transport = a_transport(f"{fake.url}/backup/")

    transport.post(REQUEST, timeout=PATIENCE)

    transport.close()
    assert fake.calls[0].path == "/backup/v3/mail/send"
    assert fake.calls[0].provider == "backup"


def test_proxies_of_the_environment_are_not_used(
    fake: FakeProvider, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, no_server())

    assert isinstance(transport.post(REQUEST, timeout=PATIENCE), Answer)


def test_a_given_proxy_is_used_with_its_password(fake: FakeProvider) -> None:
    proxy = fake.url.replace("http://", "http://user:p%40%3Ass@")
    transport = a_transport("http://provider.invalid/eu", proxy=proxy)

    answer = transport.post(REQUEST, timeout=PATIENCE)

    transport.close()
    assert isinstance(answer, Answer)
    assert fake.calls[0].path == "http://provider.invalid/eu/v3/mail/send"
    assert fake.calls[0].headers["proxy-authorization"] == "Basic dXNlcjpwQDpzcw=="


def test_one_connection_serves_many_calls(
    fake: FakeProvider, transport: Transport
) -> None:
    for _ in range(20):
        assert isinstance(transport.post(REQUEST, timeout=PATIENCE), Answer)

    assert fake.connections == 1


def test_refusals_leave_the_connection_usable(
    fake: FakeProvider, transport: Transport
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=503, body="<html>no</html>"))

    for _ in range(3):
        transport.post(REQUEST, timeout=PATIENCE)

    assert fake.connections == 1


def test_a_connection_that_grew_old_is_not_used_again(fake: FakeProvider) -> None:
    transport = a_transport(fake.url, max_idle_s=0.0)

    for _ in range(3):
        assert isinstance(transport.post(REQUEST, timeout=PATIENCE), Answer)

    transport.close()
    assert fake.connections == 3


def test_a_connection_that_the_provider_closed_is_not_used_again(
    fake: FakeProvider, transport: Transport
) -> None:
    transport.post(REQUEST, timeout=PATIENCE)
    fake.close_idle()
    wait_until(lambda: not fake.open)

    answer = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(answer, Answer)
    assert fake.connections == 2


def test_a_kept_connection_that_breaks_under_the_request_is_unknown() -> None:
    """Nobody can tell whether the provider read it, so it is not sent again."""

    def once_then_break(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK.encode())
        connection.recv(1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()

    with raw_server(once_then_break) as server:
        transport = a_transport(server.url)
        first = transport.post(REQUEST, timeout=PATIENCE)

        second = transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(first, Answer)
    assert isinstance(second, Unknown)
    assert second.cause == "reset"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("HTTP/1.1 103 Early Hints\r\n\r\n" + OK, id="early hints"),
        pytest.param(OK + OK.replace("abc", "stray"), id="two answers"),
        pytest.param("HTTP/1.1 400 Bad\r\n\r\nno length at all", id="no stated length"),
        pytest.param(
            OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), id="closing"
        ),
    ],
)
def test_an_answer_never_reaches_another_call(first: str) -> None:
    def handle(connection: socket.socket) -> None:
        serving = threading.Thread(target=serve_all, args=(connection,), daemon=True)
        serving.start()

    def serve_all(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            answer = first if len(server.accepted) == 1 else OK
            while read_request(connection):
                connection.sendall(answer.encode())
                if "no length" in answer:
                    connection.shutdown(socket.SHUT_RDWR)

    with raw_server(handle) as server:
        transport = a_transport(server.url)
        transport.post(REQUEST, timeout=PATIENCE)
        time.sleep(0.05)  # what is still on its way arrives

        second = transport.post(REQUEST, timeout=PATIENCE)

        transport.close()
        for connection in server.accepted:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    assert isinstance(second, Answer)
    assert second.headers["X-Message-Id"] == "abc"


def test_only_so_many_connections_are_kept(fake: FakeProvider) -> None:
    transport = a_transport(fake.url)
    fake.script(Rule(delay_ms=300))

    in_threads(MAX_IDLE + 8, lambda _: transport.post(REQUEST, timeout=PATIENCE))

    wait_until(lambda: len(fake.open) <= MAX_IDLE)
    transport.close()


def test_threads_share_a_provider_and_get_their_own_answers(
    fake: FakeProvider, transport: Transport
) -> None:
    def call(number: int) -> None:
        for _ in range(30):
            body = {**BODY, "subject": f"from {number}"}
            request = Request(
                path="/v3/mail/send",
                content_type="application/json",
                body=json.dumps(body).encode(),
            )
            answer = transport.post(request, timeout=PATIENCE)
            assert isinstance(answer, Answer)
            with lock:
                got[answer.headers["X-Message-Id"]] = f"from {number}"

    got: dict[str, str] = {}
    lock = threading.Lock()

    in_threads(16, call)

    assert got == {taken.message_id: taken.subject for taken in fake.taken}
    assert len(got) == 16 * 30
    assert fake.connections <= 16


def test_late_calls_of_many_threads_end_together(
    fake: FakeProvider, transport: Transport
) -> None:
    fake.script(Rule(mode=Mode.HANG))
    began = time.monotonic()

    outcomes = in_threads(16, lambda _: transport.post(REQUEST, timeout=SHORT))

    assert time.monotonic() - began < BOUND_S
    assert {type(outcome) for outcome in outcomes} == {Unknown}
    watchdogs = [t for t in threading.enumerate() if t.name == "provider-watchdog"]
    assert len(watchdogs) == 1


def test_an_interrupt_leaves_no_connection_behind(
    fake: FakeProvider, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dramatiq's interrupts are raised in the middle of anything."""

    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(http.client.HTTPResponse, "begin", interrupt)
        with pytest.raises(Interrupt):
            transport.post(REQUEST, timeout=PATIENCE)

    assert isinstance(transport.post(REQUEST, timeout=PATIENCE), Answer)
    assert fake.connections == 2
