"""What the fake provider reads and answers: rules, calls, recorded answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import getaddresses
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: Where the recorded answers lie, whole, one file each.
PAYLOADS = Path(__file__).parent / "payloads"

_PARAMETER = re.compile(r'; (\w+)="([^"]*)"')

_TAG_PART = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Mode(StrEnum):
    """What a call comes to."""

    ACCEPT = "accept"
    STATUS = "status"
    HANG = "hang"
    DROP = "drop"
    CUT = "cut"
    GARBAGE = "garbage"
    SLOW = "slow"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with which calls; the module's docstring has the fields."""

    provider: str = "*"
    recipient: str | None = None
    times: int | None = None
    mode: Mode = Mode.ACCEPT
    accepts: bool | None = None
    delay_ms: int = 0
    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""
    cut_at: int | None = None
    pause_ms: int = 100
    chance: float = 1.0
    fill_bytes: int = 0

    @property
    def takes_it(self) -> bool:
        if self.accepts is not None:
            return self.accepts
        return self.mode in {Mode.ACCEPT, Mode.SLOW} and self.status is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, accepted or not.

    `request` is the JSON of SendGrid and Resend, or a list of [name, value] of
    Mailgun's form; files are {"filename", "type", "base64"}. `key` is the idempotency
    key of a call to Resend.
    """

    provider: str
    path: str
    headers: dict[str, str]
    request: Any
    raw: bytes = field(repr=False)
    email_id: str | None
    recipients: tuple[str, ...]
    subject: str
    text: str | None
    html: str | None
    mode: Mode
    at: float
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One accepted email: a line of the journal.

    `digest` is of what it says, `body` of the request's bytes.
    """

    provider: str
    email_id: str | None
    message_id: str
    recipients: tuple[str, ...]
    subject: str
    digest: str
    at: float
    key: str | None = None
    body: str | None = None


def digest_of(
    recipients: Iterable[str],
    subject: str,
    text: str | None,
    html: str | None,
) -> str:
    """Return what tells two contents apart, whatever the provider's format."""
    said = [sorted(recipients), subject, text or None, html or None]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def recorded(provider: str, name: str, *, message_id: str = "MESSAGE-ID") -> bytes:
    """Return a recorded answer as it goes over the wire, with its true length.

    The files hold plain line feeds, which editors and git leave alone.
    """
    whole = (PAYLOADS / provider / f"{name}.http").read_bytes()
    head, _, body = whole.replace(b"MESSAGE-ID", message_id.encode()).partition(b"\n\n")
    body = body.removesuffix(b"\n")
    lines = [
        line
        for line in head.split(b"\n")
        if not line.lower().startswith(b"content-length:")
    ]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answer_of(status: int, body: str, headers: Mapping[str, str]) -> bytes:
    content = body.encode()
    kind = "application/json" if body.lstrip().startswith(("{", "[")) else "text/html"
    shown = {"Content-Type": kind, "Content-Length": str(len(content)), **headers}
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in shown.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def whose(path: str) -> tuple[str | None, str]:
    """Return which provider's path it is, and the account: the part in front."""
    parts = urlsplit(path).path.strip("/").split("/")
    if parts[-3:] == ["v3", "mail", "send"]:
        return "sendgrid", parts[0] if len(parts) > 3 else "sendgrid"
    if len(parts) >= 3 and parts[-3] == "v3" and parts[-1] == "messages":
        return "mailgun", parts[0] if len(parts) > 3 else "mailgun"
    if parts[-1] == "emails" and len(parts) <= 2:
        return "resend", parts[0] if len(parts) > 1 else "resend"
    return None, ""


def turned_away(kind: str, headers: Any) -> str | None:
    """Return the recorded answer to a call that its headers forbid, or ``None``."""
    if "Authorization" not in headers:
        return "unauthorized"
    if kind != "resend":
        return None
    if "User-Agent" not in headers:
        return "no_user_agent"
    key = headers.get("Idempotency-Key", "k")
    return None if 1 <= len(key) <= 256 else "invalid_idempotency_key"


def parsed(kind: str, account: str, *, path: str, headers: Any, body: bytes) -> Call:
    read = {"sendgrid": _sendgrid, "mailgun": _mailgun, "resend": _resend}[kind]
    return Call(
        provider=account,
        path=path,
        headers={name.lower(): value for name, value in headers.items()},
        raw=body,
        mode=Mode.ACCEPT,
        at=time.time(),
        key=headers.get("Idempotency-Key") if kind == "resend" else None,
        **read(headers.get("Content-Type", ""), body),
    )


def _sendgrid(content_type: str, body: bytes) -> dict[str, Any]:
    if content_type != "application/json":
        raise ValueError(content_type)
    request = json.loads(body)
    recipients = tuple(
        recipient["email"]
        for block in request["personalizations"]
        for kind in ("to", "cc", "bcc")
        for recipient in block.get(kind, [])
    )
    if len({recipient.lower() for recipient in recipients}) != len(recipients):
        raise ValueError("an address twice")
    contents = {part["type"]: part["value"] for part in request["content"]}
    return {
        "request": request,
        "email_id": request.get("custom_args", {}).get("postroom_email_id"),
        "recipients": recipients,
        "subject": request["subject"],
        "text": contents.get("text/plain"),
        "html": contents.get("text/html"),
    }


def _resend(content_type: str, body: bytes) -> dict[str, Any]:
    if content_type != "application/json":
        raise ValueError(content_type)
    request = json.loads(body)
    recipients = tuple(
        addr_spec
        for kind in ("to", "cc", "bcc")
        for _, addr_spec in getaddresses(request.get(kind, []))
    )
    said = request.get("text") or request.get("html")
    if not (request["from"] and request["to"] and request["subject"] and said):
        raise ValueError("from, to, subject and a body are needed")
    tags = {tag["name"]: tag.get("value") for tag in request.get("tags", [])}
    parts = [part for tag in tags.items() for part in tag if part is not None]
    if not all(map(_TAG_PART.fullmatch, parts)):
        raise ValueError("a tag is ASCII letters, numbers, underscores, or dashes")
    if len(recipients) > 50:
        raise ValueError("50 at most")
    return {
        "request": request,
        "email_id": tags.get("postroom_email_id"),
        "recipients": recipients,
        "subject": request["subject"],
        "text": request.get("text"),
        "html": request.get("html"),
    }


def _mailgun(content_type: str, body: bytes) -> dict[str, Any]:
    pairs = _form(content_type, body)
    first = {name: value for name, value in reversed(pairs) if isinstance(value, str)}
    recipients = tuple(
        addr_spec
        for kind in ("to", "cc", "bcc")
        for name, value in pairs
        if name == kind
        for _, addr_spec in getaddresses([value])
    )
    if "from" not in first or not recipients:
        raise ValueError("from and to are needed")
    return {
        "request": [[name, value] for name, value in pairs],
        "email_id": first.get("v:postroom_email_id"),
        "recipients": recipients,
        "subject": first.get("subject", ""),
        "text": first.get("text"),
        "html": first.get("html"),
    }


def _form(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    if content_type == "application/x-www-form-urlencoded":
        return list(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
        )
    kind, _, boundary = content_type.partition("; boundary=")
    if kind != "multipart/form-data":
        raise ValueError(content_type)
    mark = b"--" + boundary.encode()
    return [_part(part) for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:-1]]


def _part(part: bytes) -> tuple[str, Any]:
    head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    said = dict(_PARAMETER.findall(lines["Content-Disposition"]))
    name = said["name"]
    if "filename" not in said:
        return name, value.decode()
    return name, {
        "filename": said["filename"],
        "type": lines.get("Content-Type"),
        "base64": base64.b64encode(value).decode(),
    }


def shown(call: Call) -> dict[str, Any]:
    shown = asdict(call)
    del shown["raw"]
    return shown
