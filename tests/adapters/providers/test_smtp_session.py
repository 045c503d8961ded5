"""Conversations with relays: protection, logging in, and relays that misbehave."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import trustme

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.adapters.settings_providers import SmtpSettings
from postroom.adapters.settings_smtp import SMTP_URL
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.adapters.providers.parts import (
    PATIENCE,
    SHORT,
    SMTP_LOGIN,
    an_email,
    smtp_settings,
)
from tests.adapters.providers.wire import BOUND_S, no_server, raw_server, wait_until
from tests.fake_smtp import At, FakeSmtp, Mode, Rule

EHLO = "250-fake\r\n250 SIZE 0\r\n"
DATA = "354 go on\r\n"
OK = "250 2.0.0 Ok\r\n"

#: What a relay says up to the answer to the final dot.
UNTIL_DOT = ("220 hi\r\n", EHLO, OK, OK, DATA)


def send(
    url: str,
    *,
    timeout: timedelta = PATIENCE,
    login: tuple[str, str] | None = None,
    **options: Any,
) -> Outcome:
    provider = SmtpProvider(smtp_settings(url, login=login), **options)
    try:
        return provider.send(
            provider.build(an_email(), recipients=(0,)), timeout=timeout
        )
    finally:
        provider.close()


def saying(*answers: str | bytes) -> Callable[[socket.socket], None]:
    """Say the greeting, then an answer to each command, then end the connection."""

    def handle(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        for number, answer in enumerate(answers):
            if number == len(UNTIL_DOT):
                while reader.readline() not in {b".\r\n", b""}:
                    pass
            elif number:
                reader.readline()
            said = answer if isinstance(answer, bytes) else answer.encode()
            connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    return handle


@contextmanager
def raw_relay(*answers: str | bytes) -> Iterator[str]:
    with raw_server(saying(*answers)) as server:
        yield plain(server.url)


def plain(url: str) -> str:
    return f"{url.replace('http', 'smtp')}?tls=none"


# TLS


def test_starttls_protects_the_email_and_the_login(
    relay_tls: ssl.SSLContext, trusting_relay: ssl.SSLContext
) -> None:
    with FakeSmtp(tls=relay_tls, login=SMTP_LOGIN) as relay:
        outcome = send(relay.url, login=SMTP_LOGIN, tls=trusting_relay)

    assert isinstance(outcome, Accepted)
    (taken,) = relay.taken
    assert taken.encrypted
    assert taken.user == SMTP_LOGIN[0]


def test_tls_from_the_first_byte_protects_all(
    relay_tls: ssl.SSLContext, trusting_relay: ssl.SSLContext
) -> None:
    with FakeSmtp(tls=relay_tls, implicit=True, login=SMTP_LOGIN) as relay:
        provider = SmtpProvider(
            smtp_settings(relay.url, login=SMTP_LOGIN), tls=trusting_relay
        )
        built = provider.build(an_email(), recipients=(0,))

        outcomes = [provider.send(built, timeout=PATIENCE) for _ in range(3)]

        provider.close()
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert all(taken.encrypted for taken in relay.taken)
    assert relay.connections == 1


def test_encrypted_connections_are_kept_too(
    relay_tls: ssl.SSLContext, trusting_relay: ssl.SSLContext
) -> None:
    with FakeSmtp(tls=relay_tls) as relay:
        provider = SmtpProvider(smtp_settings(relay.url), tls=trusting_relay)
        built = provider.build(an_email(), recipients=(0,))

        for _ in range(3):
            assert isinstance(provider.send(built, timeout=PATIENCE), Accepted)

        provider.close()
        assert relay.connections == 1
        wait_until(lambda: relay.commands == ["QUIT"])


def test_the_file_of_the_settings_says_whom_to_trust(
    relay_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    with (
        authority.cert_pem.tempfile() as ca_file,
        FakeSmtp(tls=relay_tls) as relay,
    ):
        settings = SmtpSettings(
            name="smtp", server=SMTP_URL.read(relay.url), ca_file=ca_file
        )
        provider = SmtpProvider(settings)

        built = provider.build(an_email(), recipients=(0,))
        outcome = provider.send(built, timeout=PATIENCE)

        provider.close()
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_of_nobody_known_sends_nothing(
    relay_tls: ssl.SSLContext, implicit: bool
) -> None:
    with FakeSmtp(tls=relay_tls, implicit=implicit, login=SMTP_LOGIN) as relay:
        outcome = send(relay.url, login=SMTP_LOGIN)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"
    assert "certificate" in outcome.detail
    assert (relay.logins, relay.envelopes) == ([], [])


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_of_another_name_sends_nothing(
    relay_tls: ssl.SSLContext, trusting_relay: ssl.SSLContext, implicit: bool
) -> None:
    def local(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with FakeSmtp(tls=relay_tls, implicit=implicit) as relay:
        url = relay.url.replace("127.0.0.1", "relay.example.com")
        outcome = send(url, tls=trusting_relay, resolver=local)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"
    assert relay.envelopes == []


def test_a_relay_without_starttls_gets_neither_login_nor_email() -> None:
    with FakeSmtp(login=SMTP_LOGIN) as relay:
        url = relay.url.removesuffix("?tls=none")
        outcome = send(url, login=SMTP_LOGIN)

    assert outcome == NotSent(cause="tls", detail="STARTTLS is not offered")
    assert (relay.logins, relay.envelopes) == ([], [])


@pytest.mark.parametrize(
    "answer", ["454 4.7.0 TLS not available\r\n", "220 go\r\nnot TLS at all\r\n", ""]
)
def test_starttls_that_does_not_come_about_sends_nothing(answer: str) -> None:
    said = ("220 hi\r\n", "250-fake\r\n250 STARTTLS\r\n", answer)
    with raw_relay(*said) as url:
        outcome = send(url.removesuffix("?tls=none"))

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "tls"


def test_what_was_said_before_tls_is_forgotten(
    relay_tls: ssl.SSLContext, trusting_relay: ssl.SSLContext
) -> None:
    """Somebody on the way may add to the last answer in clear."""

    def inject(connection: socket.socket) -> None:
        connection.sendall(b"220 hi\r\n")
        connection.recv(1024)
        connection.sendall(b"250-fake\r\n250 STARTTLS\r\n")
        connection.recv(1024)
        connection.sendall(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
        with (
            contextlib.suppress(OSError),
            relay_tls.wrap_socket(connection, server_side=True) as protected,
        ):
            protected.recv(1024)
            protected.sendall(b"554 5.7.1 go away\r\n")

    with raw_server(inject) as server:
        url = server.url.replace("http", "smtp")
        outcome = send(url, login=SMTP_LOGIN, tls=trusting_relay)

    # Either the stray bytes spoil the handshake, or they are dropped with the buffer.
    assert isinstance(outcome, NotSent | Refused)
    assert "evil" not in outcome.detail


# Logging in


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_each_way_to_log_in_is_known(mechanism: str) -> None:
    with FakeSmtp(login=SMTP_LOGIN, mechanisms=(mechanism,)) as relay:
        outcome = send(relay.url, login=SMTP_LOGIN)

    assert isinstance(outcome, Accepted)
    assert relay.logins == [SMTP_LOGIN]


def test_cram_md5_does_not_show_the_password() -> None:
    challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+\r\n"
    said = ("220 hi\r\n", "250-fake\r\n250 AUTH CRAM-MD5\r\n", challenge)
    with raw_relay(*said, "535 5.7.8 no\r\n") as url:
        outcome = send(url, login=SMTP_LOGIN)

    assert isinstance(outcome, Refused)
    assert outcome.code == "535 5.7.8"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_tried_once_and_is_the_accounts_fault(
    mechanism: str,
) -> None:
    with FakeSmtp(login=SMTP_LOGIN, mechanisms=(mechanism,)) as relay:
        outcome = send(relay.url, login=(SMTP_LOGIN[0], "wrong"))

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.ACCOUNT, True)
    assert outcome.code == "535 5.7.8"
    assert len(relay.logins) == 1


def test_a_relay_that_wants_a_login_and_gets_none_refuses_the_account() -> None:
    with FakeSmtp(login=SMTP_LOGIN) as relay:
        outcome = send(relay.url)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.code) == (RefusalKind.ACCOUNT, "530 5.7.0")


@pytest.mark.parametrize("offer", ["250 SIZE 0\r\n", "250 AUTH XOAUTH2 GSSAPI\r\n"])
def test_without_a_known_way_to_log_in_nothing_is_sent(offer: str) -> None:
    with raw_relay("220 hi\r\n", f"250-fake\r\n{offer}") as url:
        outcome = send(url, login=SMTP_LOGIN)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == "auth"


@pytest.mark.parametrize(
    ("answer", "kind", "throttled"),
    [
        ("454 4.7.0 Temporary authentication failure", RefusalKind.TRANSIENT, False),
        ("454 4.7.0 Too many login attempts", RefusalKind.TRANSIENT, True),
        ("534 5.7.9 mechanism is too weak", RefusalKind.ACCOUNT, False),
        ("500 what?", RefusalKind.ACCOUNT, False),
        ("421 4.7.0 bye", RefusalKind.TRANSIENT, False),
    ],
)
def test_answers_to_a_login_are_told_apart(
    answer: str, kind: RefusalKind, throttled: bool
) -> None:
    said = ("220 hi\r\n", "250-fake\r\n250 AUTH PLAIN\r\n", f"{answer}\r\n")
    with raw_relay(*said) as url:
        outcome = send(url, login=SMTP_LOGIN)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.throttled) == (kind, throttled)


def test_a_relay_cannot_bring_the_password_into_a_log() -> None:
    _, password = SMTP_LOGIN

    def echo(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        connection.sendall(b"220 hi\r\n")
        reader.readline()
        connection.sendall(b"250-fake\r\n250 AUTH PLAIN\r\n")
        command = reader.readline().split()[-1]
        connection.sendall(b"535 5.7.8 got " + command + f" {password}\r\n".encode())

    with raw_server(echo) as server:
        outcome = send(plain(server.url), login=SMTP_LOGIN)

    assert isinstance(outcome, Refused)
    assert outcome.detail == "got *** ***"


# Relays that are not there, or speak something else


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
