"""What the tests of the providers share: an email with defaults, and a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from urllib3 import HTTPHeaderDict

from postroom.adapters.providers.transport import Answer
from postroom.adapters.secret import Secret
from postroom.adapters.settings import (
    MailgunSettings,
    ResendSettings,
    SendgridSettings,
    SmtpSettings,
)
from postroom.adapters.settings_smtp import SMTP_URL
from postroom.domain.email import (
    Address,
    Attachment,
    Content,
    Email,
    Recipient,
    RecipientKind,
    Routing,
    State,
    Tag,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

EMAIL_ID = "6740f0a1b2c3d4e5f6a7b8c9"

#: Long enough for any answer on loopback; a test that hangs waits no longer.
PATIENCE = timedelta(seconds=20)

#: For calls that are meant to run into their bound.
SHORT = timedelta(seconds=0.4)

#: The keys of the accounts; they must never be seen anywhere.
SENDGRID_KEY = "SG.canary-key-of-sendgrid"
MAILGUN_KEY = "key-canary-of-mailgun"
RESEND_KEY = "re_canary-of-resend"
SMTP_LOGIN = ("postroom", "canary-of-smtp")


class StoppedClock:
    """A clock for adapters that only ask what time it is."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def to(addr_spec: str, name: str = "") -> Recipient:
    return _recipient(RecipientKind.TO, addr_spec, name)


def cc(addr_spec: str, name: str = "") -> Recipient:
    return _recipient(RecipientKind.CC, addr_spec, name)


def bcc(addr_spec: str, name: str = "") -> Recipient:
    return _recipient(RecipientKind.BCC, addr_spec, name)


def an_email(
    *,
    recipients: Sequence[Recipient] = (),
    sender: str = "post@shop.example",
    sender_name: str = "",
    subject: str = "Hi",
    text: str | None = "Hello",
    html: str | None = None,
    reply_to: Sequence[Address] = (),
    headers: Mapping[str, str] | None = None,
    tags: Sequence[Tag] = (),
    metadata: Mapping[str, str] | None = None,
    attachments: Sequence[Attachment] = (),
    **changes: Any,
) -> Email:
    content = Content(
        sender=Address(addr_spec=sender, display_name=sender_name),
        reply_to=tuple(reply_to),
        subject=subject,
        text=text,
        html=html,
        headers=headers or {},
        tags=tuple(tags),
        metadata=metadata or {},
        attachments=tuple(attachments),
    )
    chosen = tuple(recipients) or (to("ada@example.com"),)
    defaults: dict[str, Any] = {
        "email_id": EMAIL_ID,
        "owner": "default",
        "content": content,
        "recipients": chosen,
        "routing": Routing(
            from_domain=content.sender.domain, size_bytes=5, recipients=len(chosen)
        ),
        "state": State.SENDING,
        "not_before": NOW,
        "due_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        "first_due_at": NOW,
    }
    return Email(**{**defaults, **changes})


def an_answer(path: Path) -> Answer:
    """Return a recorded answer as the transport would."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    return Answer(
        status=int(status.split()[1]),
        headers=HTTPHeaderDict(dict(line.split(": ", 1) for line in lines)),
        body=body,
    )


def everyone(email: Email) -> range:
    return range(len(email.recipients))


def sendgrid_settings(url: str, *, name: str = "sendgrid") -> SendgridSettings:
    return SendgridSettings(name=name, api_key=Secret(SENDGRID_KEY), api_url=url)


def mailgun_settings(
    url: str, *, name: str = "mailgun", domain: str = "mg.example.com"
) -> MailgunSettings:
    return MailgunSettings(
        name=name, api_key=Secret(MAILGUN_KEY), domain=domain, api_url=url
    )


def resend_settings(url: str, *, name: str = "resend") -> ResendSettings:
    return ResendSettings(name=name, api_key=Secret(RESEND_KEY), api_url=url)


def smtp_settings(
    url: str, *, name: str = "smtp", login: tuple[str, str] | None = None
) -> SmtpSettings:
    if login:
        url = url.replace("://", f"://{login[0]}:{login[1]}@")
    return SmtpSettings(name=name, server=SMTP_URL.read(url))


def _recipient(kind: RecipientKind, addr_spec: str, name: str) -> Recipient:
    return Recipient(kind=kind, addr_spec=addr_spec, display_name=name)
