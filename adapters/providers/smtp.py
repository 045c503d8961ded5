"""A relay that speaks SMTP: one's own, or the submission port of a provider.

Sources: RFC 5321 (SMTP), RFC 6409 (submission), RFC 8314 (TLS for it), RFC 4954 (AUTH),
RFC 1870 (SIZE). What answers mean is in smtp_answers.py, with theirs.

The relay answers for each recipient, and envelope and headers are separate: some can be
refused while the others get the email, and those refused for now can be tried again
alone.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta

from ...domain.email import Email
from ...domain.errors import UnbuildableError
from ...domain.outcome import Accepted, NotSent, Outcome, Unknown
from ...domain.ports import Built
from ...domain.routing import ProviderProfile
from ..failpoints import Around, nothing_around
from ..settings_providers import SmtpSettings
from ..settings_smtp import SmtpTls
from .connection import Resolver
from .idle import MAX_IDLE_S, Idle
from .smtp_answers import Reply, Stage, refused
from .smtp_message import Transaction, transaction_of
from .smtp_recipients import Refusals
from .smtp_session import LostError, NegativeReplyError, Session
from .watchdog import WATCHDOG, Guard

#: Of an email, decoded, for the router. 25 MB encoded is the most that common relays
#: take; one that takes less says so when we connect.
MAX_SIZE_BYTES = 17 * 1024 * 1024

#: What each server must take: RFC 5321 section 4.5.3.1.8.
MAX_RECIPIENTS = 100

#: Emails that go over one connection; some relays end it after so many.
MAX_SENT = 100

#: What a kept connection is answered at MAIL that is at its end: closing (421), or a
#: relay that thinks the last transaction is not over (503).
_STALE = frozenset({421, 503})

#: How far it may have got when nobody can have been told anything of the email.
_CONNECTING = frozenset({Stage.DNS, Stage.CONNECT, Stage.STARTTLS})


class SmtpProvider:
    """One account at one relay. Any number of threads may share it."""

    def __init__(
        self,
        settings: SmtpSettings,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = socket.getaddrinfo,
        max_idle_s: float = MAX_IDLE_S,
        around: Around = nothing_around,
    ) -> None:
        """Prepare the account; nothing is opened before the first call.

        Args:
            settings: Where the relay is.
            tls: Whom to trust; by default the settings' file, or whom this machine
                trusts.
            resolver: Finds the addresses of a host.
            max_idle_s: How long an idle connection may be used again, in seconds.
            around: Put around the sending of the final dot, for failpoints.
        """
        self._server = settings.server
        self._hidden = _secrets(settings)
        self._resolver = resolver
        self._around = around
        self._tls = None
        if self._server.tls is not SmtpTls.NONE:
            self._tls = tls or ssl.create_default_context(cafile=settings.ca_file)
        self._idle = Idle[Session](max_idle_s)
        #: What the relay last said that it takes.
        self._max_size_bytes: int | None = None
        self.profile = ProviderProfile(
            name=settings.name,
            kind="smtp",
            max_size_bytes=MAX_SIZE_BYTES,
            max_recipients=MAX_RECIPIENTS,
            splits_recipients=True,
        )

    def build(
        self,
        email: Email,
        *,
        recipients: Sequence[int],
        key: str | None = None,  # noqa: ARG002  # SMTP knows no such keys
    ) -> Built:
        """Make the envelope and the bytes of DATA."""
        transaction = transaction_of(email, recipients)
        limit = self._max_size_bytes
        if limit is not None and len(transaction.data) > limit:
            raise UnbuildableError(
                f"the relay takes {limit} bytes, encoded", field="attachments"
            )
        return Built(provider=self.profile.name, request=transaction)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        """Make the call, over a kept connection if there is one."""
        guard = WATCHDOG.arm(timeout.total_seconds())
        try:
            kept = self._idle.take()
            if kept is not None:
                outcome = self._converse(kept, built.request, guard)
                if outcome is not None:
                    return outcome
            fresh = Session(
                self._server,
                tls=self._tls,
                resolver=self._resolver,
                around=self._around,
            )
            outcome = self._converse(fresh, built.request, guard)
        finally:
            guard.disarm()
        return outcome or NotSent(cause="reset", detail="closed before the email")

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        self._idle.close()

    def _converse(
        self, session: Session, transaction: Transaction, guard: Guard
    ) -> Outcome | None:
        """Carry a transaction over a connection and keep it, if it is fit for that.

        Returns:
            ``None`` if the relay had closed a kept connection before it heard of the
            email: a new one is as good as the first.
        """
        was_kept = session.is_open
        refusals = Refusals(hidden=self._hidden)
        try:
            session.open(guard)
            self._max_size_bytes = session.max_size_bytes
            return self._transact(session, transaction, refusals, guard)
        except NegativeReplyError as ex:
            if was_kept and ex.stage is Stage.MAIL and ex.reply.code in _STALE:
                return None
            refusal = refused(ex.stage, ex.reply, hidden=self._hidden)
            return refusals.besides(refusal)
        except LostError as ex:
            if was_kept and session.stage is Stage.MAIL and not guard.fired:
                return None
            return _lost(ex.why, session, refusals, guard)
        finally:
            # An interrupt of the worker leaves a transaction in the air.
            if session.is_clean and not guard.fired and session.sent < MAX_SENT:
                self._idle.put(session)
            else:
                session.drop()

    def _transact(
        self,
        session: Session,
        transaction: Transaction,
        refusals: Refusals,
        guard: Guard,
    ) -> Outcome:
        limit, size = session.max_size_bytes, len(transaction.data)
        if limit is not None and size > limit:
            # Another provider may take it, and the next `build` here will know.
            return NotSent(cause="too_large", detail=f"{size} bytes, {limit} allowed")
        _expect(Stage.MAIL, session.mail(transaction.sender, size=size))
        for mailbox in transaction.mailboxes:
            reply = session.rcpt(mailbox.path)
            if reply.is_last:
                raise NegativeReplyError(Stage.RCPT, reply)
            if not refusals.note(mailbox, reply):
                _expect(Stage.RCPT, reply)
        if refusals.are_all_of(transaction.mailboxes):
            session.reset()
            return refusals.outcome()
        reply = session.data()
        if reply.code != 354:
            session.reset()
            _expect(Stage.DATA, reply, code=354)
        session.content(transaction.data)
        if not guard.may_write():
            return NotSent(cause="timeout", detail="late before the final dot")
        reply = session.end()
        _expect(Stage.END, reply)
        return Accepted(
            provider_message_id=transaction.message_id, refused=refusals.told
        )


def _expect(stage: Stage, reply: Reply, *, code: int = 0) -> None:
    """Go on if the relay does.

    Raises:
        NegativeReplyError: It says no.
        LostError: It says what makes no sense here.
    """
    if reply.is_negative:
        raise NegativeReplyError(stage, reply)
    if not (reply.code == code if code else reply.is_positive):
        raise LostError(NotSent(cause="garbage", detail=f"{reply.code} at {stage}"))


def _lost(
    why: NotSent, session: Session, refusals: Refusals, guard: Guard
) -> NotSent | Unknown:
    """Return what it means that a conversation ended without an answer.

    Before the final dot the relay cannot have taken the email: it must forget a
    transaction whose connection breaks (RFC 5321 section 4.1.1.10).
    """
    cause, detail = why.cause, why.detail
    if guard.fired:
        early = session.stage in _CONNECTING
        cause = "connect_timeout" if early and not guard.writing else "timeout"
        detail = f"late at {session.stage}"
    if guard.writing:
        return Unknown(cause=cause, detail=detail, refused=refusals.told)
    return NotSent(cause=cause, detail=detail)


def _secrets(settings: SmtpSettings) -> tuple[str, ...]:
    """Return what no answer may bring back into a log, in the forms of AUTH too."""
    user, password = settings.server.user, settings.server.password.reveal()
    plain = f"\0{user}\0{password}"
    coded = (base64.b64encode(text.encode()).decode() for text in (plain, password))
    return (password, *coded) if password else ()
