"""Conversations with relays are protected, or nothing is said."""

import contextlib
import socket
import ssl
from typing import Any

import pytest
import trustme

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.adapters.settings_providers import SmtpSettings
from postroom.adapters.settings_smtp import SMTP_URL
from postroom.domain.outcome import Accepted, NotSent, Refused
from tests.adapters.providers.parts import PATIENCE, SMTP_LOGIN, an_email, smtp_settings
from tests.adapters.providers.relays import raw_relay, send
from tests.adapters.providers.wire import raw_server, wait_until
from tests.fake_smtp import FakeSmtp


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
