"""Logging in to relays, and what they answer."""

import socket

import pytest

from postroom.domain.outcome import Accepted, NotSent, RefusalKind, Refused
from tests.adapters.providers.parts import SMTP_LOGIN
from tests.adapters.providers.relays import plain, raw_relay, send
from tests.adapters.providers.wire import raw_server
from tests.fake_smtp import FakeSmtp


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
