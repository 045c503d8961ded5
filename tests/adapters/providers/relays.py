"""Relays that say what a test wants, and an email that is sent to one."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.domain.outcome import Outcome
from tests.adapters.providers.parts import PATIENCE, an_email, smtp_settings
from tests.adapters.providers.wire import raw_server

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
