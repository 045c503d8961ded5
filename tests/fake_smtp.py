# ruff: noqa: N802 - aiosmtpd finds its hooks by these names
"""A fake relay over real sockets: aiosmtpd, told what to answer.

In a test, in a thread of its process::

    with FakeSmtp() as fake:
        ...SMTP_URL=fake.url...
        fake.script(Rule(recipient="bob@example.com", reply="550 5.1.1 unknown"))
        fake.taken      # what was accepted (Taken), in order
        fake.envelopes  # every MAIL FROM with its RCPT TO's, accepted or not
        fake.connections  # how many connections were opened

Rules are looked at in order; the first that matches is used, `times` times at most.
`hang` never answers, `drop` breaks the connection; with `accepts` the email is taken
before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

#: The longest that a hanging conversation is kept, in seconds: no test waits as long.
HANG_S = 300.0


class At(StrEnum):
    """Where in the conversation a rule applies."""

    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"
    RSET = "rset"


class Mode(StrEnum):
    """What happens there."""

    REPLY = "reply"
    HANG = "hang"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do where, for whom and how often."""

    at: At = At.RCPT
    recipient: str | None = None
    mode: Mode = Mode.REPLY
    reply: str = ""
    times: int | None = None
    accepts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One accepted email."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes = field(repr=False)
    user: str | None = None
    encrypted: bool = False

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.data, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class FakeSmtp:
    """The relay: start and stop it with `with`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        size: int | None = None,
        mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
    ) -> None:
        """Describe it.

        Args:
            host: The address of this machine that it listens on.
            tls: Its certificate; it offers STARTTLS then.
            implicit: It speaks TLS from the first byte instead.
            login: A user and a password that it insists on.
            size: What it announces as the largest email, in bytes.
            mechanisms: The ways to log in that it offers.
        """
        self.taken: list[Taken] = []
        self.envelopes: list[tuple[str, tuple[str, ...]]] = []
        self.hosts: list[str] = []
        self.options: list[list[str]] = []
        self.commands: list[str] = []
        self.connections = 0
        self.logins: list[tuple[str, str]] = []
        self._host = host
        self._tls, self._implicit, self._login = tls, implicit, login
        self._size, self._mechanisms = size, mechanisms
        self._rules: list[Rule] = []
        self._spent: list[int] = []
        self._lock = threading.Lock()
        self._open: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.port = 0

    @property
    def url(self) -> str:
        """The SMTP_URL of this relay, without a user."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._implicit:
            return f"smtps://{host}:{self.port}"
        ending = "" if self._tls else "?tls=none"
        return f"smtp://{host}:{self.port}{ending}"

    def start(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def script(self, *rules: Rule) -> None:
        """Replace all rules; none: every email is accepted."""
        with self._lock:
            self._rules, self._spent = list(rules), [0] * len(rules)

    def reset(self) -> None:
        self.script()
        self.taken, self.envelopes, self.commands = [], [], []

    def close_idle(self, last_words: bytes = b"") -> None:
        """Close every open connection, as a relay does with quiet ones."""

        async def close() -> None:
            for transport in list(self._open):
                transport.write(last_words)
                transport.close()

        self._run(close())

    def rule_for(self, at: At, recipient: str | None = None) -> Rule | None:
        with self._lock:
            for index, rule in enumerate(self._rules):
                if (
                    rule.at is at
                    and rule.recipient in {None, recipient}
                    and (rule.times is None or self._spent[index] < rule.times)
                ):
                    self._spent[index] += 1
                    return rule
        return None

    async def follow(
        self, server: SMTP, at: At, otherwise: str, recipient: str | None = None
    ) -> str:
        """Do what the rules say, and return the reply."""
        return await self.apply(server, self.rule_for(at, recipient), otherwise)

    async def apply(self, server: SMTP, rule: Rule | None, otherwise: str) -> str:
        if rule is None:
            return otherwise
        if rule.mode is Mode.HANG:
            await asyncio.sleep(HANG_S)
        if rule.mode is Mode.DROP:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            raise asyncio.CancelledError
        return rule.reply

    # For aiosmtpd

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.hosts.append(hostname)
        reply = await self.follow(server, At.EHLO, "")
        return [reply] if reply else responses

    async def handle_MAIL(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        self.options.append(options)
        self.envelopes.append((address, ()))
        reply = await self.follow(server, At.MAIL, "250 2.1.0 Ok")
        if reply.startswith("2"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        sender, named = self.envelopes[-1]
        self.envelopes[-1] = (sender, (*named, address))
        reply = await self.follow(server, At.RCPT, "250 2.1.5 Ok", address)
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        rule = self.rule_for(At.END)
        if rule is None or rule.accepts:
            content = envelope.original_content or b""
            self.taken.append(
                Taken(
                    sender=envelope.mail_from or "",
                    recipients=tuple(envelope.rcpt_tos),
                    data=content,
                    user=session.auth_data,
                    encrypted=session.ssl is not None or self._implicit,
                )
            )
        number = len(self.taken)
        return await self.apply(server, rule, f"250 2.0.0 Ok: queued as Q{number}")

    async def handle_RSET(
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        return await self.follow(server, At.RSET, "250 2.0.0 Ok")

    def authenticate(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        mechanism: str,
        data: Any,
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.logins.append(given)
        if given != self._login:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=given[0])

    # Inside

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        server = await self._loop.create_server(
            self._protocol,
            self._host,
            self.port,
            ssl=self._tls if self._implicit else None,
            backlog=256,
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    def _protocol(self) -> SMTP:
        excluded = {"PLAIN", "LOGIN"} - set(self._mechanisms)
        return _Protocol(
            self,
            hostname="fake",
            ident="fake relay",
            data_size_limit=self._size or 0,
            tls_context=None if self._implicit else self._tls,
            auth_required=self._login is not None,
            authenticator=self.authenticate,
            auth_exclude_mechanism=excluded,
            loop=self._loop,
        )

    async def _end(self) -> None:
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Protocol(SMTP):
    """aiosmtpd's, which tells the fake of connections and asks it about DATA."""

    def __init__(self, fake: FakeSmtp, **options: Any) -> None:
        super().__init__(fake, **options)
        # Set afterwards: as an argument it is warned about.
        self._auth_require_tls = self.tls_context is not None
        self._fake = fake

    def connection_made(self, transport: Any) -> None:
        if transport not in self._fake._open:
            self._fake.connections += self.transport is None
            self._fake._open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._fake._open.discard(self.transport)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str | None) -> None:
        reply = await self._fake.follow(self, At.DATA, "")
        if reply:
            await self.push(reply)
            return
        await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str | None) -> None:
        self._fake.commands.append("QUIT")
        with contextlib.suppress(ConnectionError):
            await super().smtp_QUIT(arg)
