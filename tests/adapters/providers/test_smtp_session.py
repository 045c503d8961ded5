"""Conversations with relays that are not there, misbehave or take too long."""

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import pytest

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.adapters.providers.parts import PATIENCE, SHORT, an_email, smtp_settings
from tests.adapters.providers.relays import (
    OK,
    UNTIL_DOT,
    plain,
    raw_relay,
    saying,
    send,
)
from tests.adapters.providers.wire import BOUND_S, no_server, raw_server
from tests.fake_smtp import At, FakeSmtp, Mode, Rule


def test_nobody_listening_sends_nothing() -> None:
    outcome = send(plain(no_server()))

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connection_refused"


def test_a_name_that_is_not_found_sends_nothing() -> None:
    outcome = send("smtp://relay.invalid")

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "dns"


def test_a_look_up_that_takes_too_long_sends_nothing() -> None:
    answered = threading.Event()

    def slow(*_: object, **__: object) -> list[tuple[Any, ...]]:
        answered.wait(2 * BOUND_S)
        return []

    began = time.monotonic()
    outcome = send("smtp://relay.example.com", timeout=SHORT, resolver=slow)

    assert time.monotonic() - began < BOUND_S
    answered.set()
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connect_timeout"


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        ("421 4.3.2 too busy", RefusalKind.TRANSIENT),
        ("554 5.7.1 not from there", RefusalKind.ACCOUNT),
    ],
)
def test_a_relay_that_does_not_want_us_refuses(
    greeting: str, kind: RefusalKind
) -> None:
    with raw_relay(f"{greeting}\r\n") as url:
        outcome = send(url)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (kind, True)
    assert f"{outcome.code} {outcome.detail}" == greeting


@pytest.mark.parametrize("length", range(len(UNTIL_DOT) + 1))
def test_a_relay_that_hangs_is_bounded_as_a_whole(length: int) -> None:
    def hang(connection: socket.socket) -> None:
        saying_on = saying(*UNTIL_DOT[:length])
        # Without the end of the connection.
        saying_on(_Endless(connection))  # type: ignore[arg-type]  # what it uses of one
        connection.settimeout(BOUND_S)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    with raw_server(hang) as server:
        began = time.monotonic()
        outcome = send(plain(server.url), timeout=SHORT)
        took = time.monotonic() - began

    assert took < BOUND_S
    assert isinstance(outcome, Unknown if length == len(UNTIL_DOT) else NotSent)
    assert outcome.cause == "timeout"


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("at", "expected"), [(At.EHLO, NotSent), (At.MAIL, NotSent), (At.END, Unknown)]
)
def test_an_encrypted_conversation_is_bounded_too(
    relay_tls: ssl.SSLContext,
    trusting_relay: ssl.SSLContext,
    at: At,
    expected: type[Outcome],
    implicit: bool,
) -> None:
    with FakeSmtp(tls=relay_tls, implicit=implicit) as relay:
        relay.script(Rule(at=at, mode=Mode.HANG))
        began = time.monotonic()
        outcome = send(relay.url, tls=trusting_relay, timeout=SHORT)

        assert time.monotonic() - began < BOUND_S
    assert isinstance(outcome, expected)
    assert outcome.cause == "timeout"


def test_a_reply_a_byte_at_a_time_is_bounded_as_a_whole() -> None:
    def drip(connection: socket.socket) -> None:
        for byte in b"220-" + b"x" * 400:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with raw_server(drip) as server:
        began = time.monotonic()
        outcome = send(plain(server.url), timeout=SHORT)

        assert time.monotonic() - began < BOUND_S - 2
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "timeout"


def test_a_handshake_that_takes_too_long_sends_nothing() -> None:
    with raw_server(lambda _: None) as server:
        outcome = send(server.url.replace("http", "smtps"), timeout=SHORT)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "connect_timeout"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01\x00\xff\xfe\r\n", id="TLS"),
        pytest.param(b"2\r\n", id="one digit"),
        pytest.param(b"1000 x\r\n", id="too low"),
        pytest.param(b"999 x\r\n", id="too high"),
        pytest.param(b"-25 x\r\n", id="negative"),
        pytest.param(b"354 x\r\n", id="of another command"),
        pytest.param(b"220-" + b"x" * 20_000 + b"\r\n220 x\r\n", id="a long line"),
        pytest.param(b"220-x\r\n" * 20_000 + b"220 x\r\n", id="many lines"),
        pytest.param(b"220 cut", id="cut"),
    ],
)
def test_what_is_no_greeting_sends_nothing(said: bytes) -> None:
    with raw_relay(said) as url:
        outcome = send(url)

    assert isinstance(outcome, NotSent)
    assert outcome.cause in {"garbage", "reset"}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"250 2.0.0 O", id="cut"),
        pytest.param(b"250-2.0.0 Ok\r\n", id="cut between lines"),
        pytest.param(b"oops\r\n", id="garbage"),
        pytest.param(b"354 again?\r\n", id="of another command"),
        pytest.param(b"250" + b"x" * 20_000 + b"\r\n", id="a long line"),
    ],
)
def test_what_is_no_answer_to_the_final_dot_is_unknown(said: bytes) -> None:
    with raw_relay(*UNTIL_DOT, said) as url:
        outcome = send(url)

    assert isinstance(outcome, Unknown)
    assert outcome.cause in {"garbage", "reset"}


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_answer_that_makes_no_sense_before_the_final_dot_sends_nothing(
    at: int,
) -> None:
    answers = [*UNTIL_DOT[:at], "354 go on\r\n" if at < 4 else "250 go on\r\n"]
    with raw_relay(*answers) as url:
        outcome = send(url)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "garbage"


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("550-5.1.1 first\r\n550 5.1.1 second\r\n", "first second"),
        (b"550 5.1.1 gr\xfc\xdfe \xe2\x82\xac\r\n", "gr\ufffd\ufffde \u20ac"),
        ("550 5.1.1\r\n", ""),
    ],
)
def test_words_of_any_kind_are_read(said: str | bytes, detail: str) -> None:
    with raw_relay(*UNTIL_DOT[:3], said, OK) as url:
        outcome = send(url)

    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.detail) == ("550 5.1.1", detail)
    assert outcome.refused[0].detail == detail


def test_a_refusal_before_the_end_of_the_email_is_an_answer() -> None:
    def refuse(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        for number, answer in enumerate(UNTIL_DOT):
            if number:
                reader.readline()
            connection.sendall(answer.encode())
        reader.read(1000)
        connection.sendall(b"552 5.3.4 too large\r\n")
        connection.close()
        reader.close()

    with raw_server(refuse) as server:
        provider = SmtpProvider(smtp_settings(plain(server.url)))
        built = provider.build(an_email(text="x" * 20_000_000), recipients=(0,))
        outcome = provider.send(built, timeout=PATIENCE)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.code) == (RefusalKind.PERMANENT, "552 5.3.4")


def test_an_email_that_nobody_reads_to_its_end_is_not_sent() -> None:
    def stop_reading(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        for number, answer in enumerate(UNTIL_DOT):
            if number:
                reader.readline()
            connection.sendall(answer.encode())

    with raw_server(stop_reading) as server:
        provider = SmtpProvider(smtp_settings(plain(server.url)))
        built = provider.build(an_email(text="x" * 20_000_000), recipients=(0,))
        outcome = provider.send(built, timeout=SHORT)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "timeout"


@pytest.mark.parametrize(
    ("host", "name"), [("127.0.0.1", "[127.0.0.1]"), ("::1", "[IPv6:::1]")]
)
def test_we_call_ourselves_by_our_address(host: str, name: str) -> None:
    try:
        socket.create_server((host, 0), family=_family(host)).close()
    except OSError:
        pytest.skip(f"no {host} here")
    with FakeSmtp(host=host) as relay:
        outcome = send(relay.url)

    assert isinstance(outcome, Accepted)
    assert relay.hosts == [name]


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Endless:
    """A socket that is not shut down by whoever thinks that all is said."""

    def __init__(self, connection: socket.socket) -> None:
        self.makefile = connection.makefile
        self.sendall = connection.sendall

    def shutdown(self, how: int) -> None:
        """Stay open."""
