"""One kept connection to a relay: opened, protected and logged in under a guard.

The standard library's `smtplib.SMTP` speaks the protocol. What is added: the guard
bounds all of it, the certificate is always checked, an answer that is cut short is no
answer, and each failure says in which stage it came.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from urllib3.util import wait_for_read

from ...domain.outcome import NotSent
from ..failpoints import Around, nothing_around
from ..settings_smtp import SmtpServer, SmtpTls
from .connection import Resolver, first_of, not_sent, resolve
from .smtp_answers import Reply, Stage
from .watchdog import Guard

#: Bytes of one reply that are read: RFC 5321 section 4.5.3.1.5 allows 512 a line.
MAX_REPLY_BYTES = 64 * 1024

#: Seconds that a socket waits beyond the guard, which is what ends a call.
SLACK_S = 5.0

#: The share of a call's time that a kept connection has to show that it still leads
#: somewhere. After that there is time for a new one.
KEPT_SHARE = 1 / 3

#: Ways to log in, best first. Under TLS none of them shows the password.
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")


class NegativeReplyError(Exception):
    """Raised when a complete answer ends the conversation."""

    def __init__(self, stage: Stage, reply: Reply) -> None:
        super().__init__(f"{reply.code} at {stage}")
        self.stage = stage
        self.reply = reply


class LostError(Exception):
    """Raised when the conversation ends without an answer; ``why`` tells how."""

    def __init__(self, why: NotSent) -> None:
        super().__init__(why.cause)
        self.why = why


class Session:
    """A connection that knows how far it got. One thread at a time."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        tls: ssl.SSLContext | None,
        resolver: Resolver = socket.getaddrinfo,
        around: Around = nothing_around,
    ) -> None:
        """Prepare the connection; see `SmtpProvider` for the arguments."""
        self._server = server
        self._tls = tls
        self._resolver = resolver
        self._smtp = _Smtp(server.host)
        self._send_dot = around("smtp.dot", lambda: self._smtp.send(b".\r\n"))
        self._lever: socket.socket | None = None
        self._guard: Guard | None = None
        self.stage = Stage.CONNECT
        #: Emails that it has carried.
        self.sent = 0
        #: Whether the relay waits for a new transaction.
        self.is_clean = False

    @property
    def is_open(self) -> bool:
        """Whether it was opened before and not closed since."""
        return self._smtp.sock is not None

    @property
    def is_dropped(self) -> bool:
        """Whether it cannot be used again.

        A relay says nothing by itself but that it closes the connection.
        """
        sock = self._smtp.sock
        return sock is None or bool(wait_for_read(sock, timeout=0.0))

    @property
    def max_size_bytes(self) -> int | None:
        """Largest email that the relay takes, encoded, if it says so (RFC 1870)."""
        given = self._smtp.esmtp_features.get("size", "")
        return int(given) or None if given.isascii() and given.isdigit() else None

    def open(self, guard: Guard) -> None:
        """Connect and log in, unless that is done.

        Raises:
            NegativeReplyError: The relay does not want us.
            LostError: There is no way to it, or none that is safe.
        """
        self._guard = guard
        if self._smtp.sock is not None and self._lever is not None:
            guard.attach(self._lever)
            self._smtp.sock.settimeout(guard.remaining() * KEPT_SHARE)
            return
        try:
            self._connect(guard)
        except (OSError, ValueError) as ex:
            stage = "tls" if self.stage is Stage.STARTTLS else self.stage.value
            raise LostError(not_sent(ex, stage)) from ex
        self._demand(Stage.GREETING, self._smtp.getreply)
        self._demand(Stage.EHLO, lambda: self._smtp.ehlo(self._name()))
        if self._server.tls is SmtpTls.STARTTLS:
            self._start_tls()
            self._demand(Stage.EHLO, lambda: self._smtp.ehlo(self._name()))
        if self._server.user:
            self._log_in()
        self.is_clean = True

    def mail(self, sender: str, *, size: int) -> Reply:
        """Begin a transaction."""
        self.is_clean = False
        sized = f" SIZE={size}" if self._smtp.has_extn("size") else ""
        reply = self._ask(
            Stage.MAIL, lambda: self._smtp.docmd("MAIL", f"FROM:<{sender}>{sized}")
        )
        self.is_clean = reply.is_negative and not reply.is_last
        if self._smtp.sock is not None and self._guard is not None:
            self._smtp.sock.settimeout(self._guard.remaining() + SLACK_S)
        return reply

    def rcpt(self, path: str) -> Reply:
        """Name one recipient."""
        return self._ask(Stage.RCPT, lambda: self._smtp.docmd("RCPT", f"TO:<{path}>"))

    def data(self) -> Reply:
        """Ask whether the email may come; 354 if it may."""
        return self._ask(Stage.DATA, lambda: self._smtp.docmd("DATA"))

    def content(self, data: bytes) -> None:
        """Send the email, without the dot that ends it.

        Raises:
            NegativeReplyError: The relay did not want to read all of it.
            LostError: It did not read all of it.
        """
        self.stage = Stage.CONTENT
        sock = self._smtp.sock
        try:
            if sock is not None:
                sock.sendall(data)
                return
        except OSError:
            # Whoever refuses a large one may close before reading it; the reason may
            # still be there to read.
            reply = self._ask(Stage.CONTENT, self._smtp.getreply)
            if reply.is_negative:
                raise NegativeReplyError(Stage.CONTENT, reply) from None
        raise LostError(NotSent(cause="reset", detail=f"in {self.stage}"))

    def end(self) -> Reply:
        """Send the final dot. From here on the email may be out."""

        def dot() -> tuple[int, bytes]:
            self._send_dot()
            return self._smtp.getreply()

        reply = self._ask(Stage.END, dot)
        self.sent += 1
        self.is_clean = not reply.is_last
        return reply

    def reset(self) -> None:
        """Give a transaction up; if that fails, the session is not clean."""
        with contextlib.suppress(LostError):
            self.is_clean = self._ask(Stage.RSET, self._smtp.rset).code == 250

    def drop(self) -> None:
        """Close it for good, with a good-bye if nothing is in the air."""
        if self.is_clean and self._smtp.sock is not None:
            with contextlib.suppress(OSError):
                self._smtp.sock.settimeout(SLACK_S)
                self._smtp.putcmd("QUIT")
        self._smtp.close()
        lever, self._lever = self._lever, None
        if lever is not None:
            lever.close()

    def _connect(self, guard: Guard) -> None:
        self.stage = Stage.DNS
        host, port = self._server.host, self._server.port
        addresses = resolve(self._resolver, host, port, guard)
        self.stage = Stage.CONNECT
        sock = first_of(addresses, port, guard)
        self._lever = sock.dup()
        guard.attach(self._lever)
        sock.settimeout(guard.remaining() + SLACK_S)
        if self._tls is not None and self._server.tls is SmtpTls.IMPLICIT:
            self.stage = Stage.STARTTLS
            sock = self._tls.wrap_socket(sock, server_hostname=host)
        self._smtp.sock = sock

    def _start_tls(self) -> None:
        self.stage = Stage.STARTTLS
        if self._tls is None or not self._smtp.has_extn("starttls"):
            raise LostError(NotSent(cause="tls", detail="STARTTLS is not offered"))
        try:
            self._smtp.starttls(context=self._tls)
        except smtplib.SMTPResponseException as ex:
            detail = f"STARTTLS was answered with {ex.smtp_code}"
            raise LostError(NotSent(cause="tls", detail=detail)) from ex
        except (OSError, ValueError) as ex:
            raise LostError(not_sent(ex, "tls")) from ex

    def _log_in(self) -> None:
        offered = self._smtp.esmtp_features.get("auth", "").upper().split()
        mechanism = next((known for known in MECHANISMS if known in offered), None)
        if mechanism is None:
            detail = "no way to log in is offered that we know"
            raise LostError(NotSent(cause="auth", detail=detail))
        self._smtp.user = self._server.user
        self._smtp.password = self._server.password.reveal()
        respond: Any = getattr(
            self._smtp, f"auth_{mechanism.lower().replace('-', '_')}"
        )
        # One way only: smtplib's login tries all of them, and three wrong passwords for
        # one make some relays lock the account.
        self._demand(
            Stage.AUTH,
            lambda: self._smtp.auth(
                mechanism, respond, initial_response_ok=mechanism == "PLAIN"
            ),
        )

    def _name(self) -> str:
        """Return what we call ourselves: our address, which is always true.

        The name of the machine would have to be looked up, and often is none: RFC 5321
        section 4.1.4 has the literal for that.
        """
        address = self._lever.getsockname()[0] if self._lever else "127.0.0.1"
        address = address.partition("%")[0]  # the interface of a link-local one
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def _demand(self, stage: Stage, call: Callable[[], tuple[int, bytes]]) -> None:
        reply = self._ask(stage, call)
        if reply.is_negative:
            raise NegativeReplyError(stage, reply)
        if not reply.is_positive:
            raise LostError(NotSent(cause="garbage", detail=f"{reply.code} at {stage}"))

    def _ask(self, stage: Stage, call: Callable[[], tuple[int, bytes]]) -> Reply:
        self.stage = stage
        try:
            code, said = call()
        except smtplib.SMTPAuthenticationError as ex:
            code, said = ex.smtp_code, _bytes(ex.smtp_error)
        except (smtplib.SMTPResponseException, ValueError) as ex:
            # A line that is too long, a challenge that is not base64.
            detail = f"{type(ex).__name__} at {stage}"
            raise LostError(NotSent(cause="garbage", detail=detail)) from ex
        except OSError as ex:  # all of smtplib's are
            detail = f"{type(ex).__name__} at {stage}"
            raise LostError(NotSent(cause="reset", detail=detail)) from ex
        if not 200 <= code <= 599:
            raise LostError(NotSent(cause="garbage", detail=f"no code at {stage}"))
        if code == 421:
            self.is_clean = False
        return Reply.of(code, said)


class _Smtp(smtplib.SMTP):
    """smtplib's, which connects to nothing by itself and reads only whole replies."""

    def __init__(self, host: str) -> None:
        # The name is not used, but would be looked up.
        super().__init__(local_hostname="localhost")
        self._host = host  # what starttls compares the certificate with

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None and not isinstance(self.file, _Lines):
            self.file = _Lines(self.sock)
        if isinstance(self.file, _Lines):
            self.file.left = MAX_REPLY_BYTES
        return super().getreply()


class _Lines:
    """Lines of replies. The end of the file is not the end of a line.

    smtplib takes it for that: half of a 550 would be a whole 55 to it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")
        self.left = 0

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("the reply is too long")
        return line if line.endswith(b"\n") or len(line) == size else b""

    def close(self) -> None:
        self._file.close()


def _bytes(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode(errors="replace")
