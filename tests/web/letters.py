"""What arrived at a provider, whichever it is, in one form; and what was asked for."""

from __future__ import annotations

import base64
import email.policy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from postroom.domain.address import parse_address
from postroom.http.file_checks import guessed_type
from tests.fake_rules import Call
from tests.fake_smtp import Taken

#: A name and an address.
Mailbox = tuple[str, str]

#: Headers that SMTP's side makes itself.
OWN = {
    *("date", "from", "to", "cc", "reply-to", "subject", "message-id"),
    *("x-postroom-email-id", "mime-version", "content-type"),
    *("content-transfer-encoding", "content-disposition", "content-id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An attached file."""

    filename: str | None
    content: bytes
    content_type: str | None
    content_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One email as its recipients and the provider are to see it."""

    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    text: str | None
    html: str | None
    headers: Mapping[str, str]
    files: tuple[File, ...]
    labels: tuple[str, ...] = ()


def asked_for(body: Mapping[str, Any]) -> Letter:
    """Return the letter that a valid body asks for."""
    seen: set[str] = set()
    lists: dict[str, tuple[Mailbox, ...]] = {}
    for kind in ("to", "cc", "bcc"):
        mailboxes = _parsed(body.get(kind, []))
        fresh = {m[1].lower(): m for m in reversed(mailboxes)}
        kept = [m for m in mailboxes if fresh.get(m[1].lower()) is m]
        lists[kind] = tuple(m for m in kept if m[1].lower() not in seen)
        seen |= set(fresh)
    return Letter(
        sender=_parsed(body["from"])[0],
        **lists,
        reply_to=_parsed(body.get("reply_to", [])),
        subject=body["subject"],
        text=body.get("text") or None,
        html=body.get("html") or None,
        # What a client encoded itself is decoded on both sides.
        headers={
            name: _decoded(value) for name, value in body.get("headers", {}).items()
        },
        files=tuple(
            File(
                filename=file["filename"],
                content=base64.b64decode(file["content"]),
                content_type=file.get("content_type") or guessed_type(file["filename"]),
                content_id=file.get("content_id"),
            )
            for file in body.get("attachments", [])
        ),
        labels=_labels(body.get("tags", [])),
    )


def _labels(tags: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Write tags as most providers take them, each once."""
    found = [":".join(filter(None, (t["name"], t.get("value")))) for t in tags]
    return tuple(dict.fromkeys(found))


def _parsed(value: str | list[str]) -> tuple[Mailbox, ...]:
    found = [parse_address(v) for v in ([value] if isinstance(value, str) else value)]
    return tuple((one.display_name, one.addr_spec) for one in found)


def at_sendgrid(call: Call) -> Letter:
    request = call.request
    [block] = request["personalizations"]

    def mailboxes(given: Iterable[Mapping[str, str]]) -> tuple[Mailbox, ...]:
        return tuple((one.get("name", ""), one["email"]) for one in given)

    replies = request.get("reply_to_list") or [request.get("reply_to")]
    return Letter(
        sender=mailboxes([request["from"]])[0],
        # It parses a recipient's name: one with a comma or a semicolon comes quoted.
        **{
            kind: tuple(
                (_unquoted(name), addr) for name, addr in mailboxes(block.get(kind, []))
            )
            for kind in ("to", "cc", "bcc")
        },
        reply_to=mailboxes(one for one in replies if one),
        subject=request["subject"],
        text=call.text,
        html=call.html,
        headers={
            name: _decoded(value) for name, value in request.get("headers", {}).items()
        },
        files=tuple(
            File(
                filename=file["filename"],
                content=base64.b64decode(file["content"]),
                content_type=file["type"],
                content_id=file.get("content_id"),
            )
            for file in request.get("attachments", [])
        ),
        labels=tuple(request.get("categories", [])),
    )


def at_resend(call: Call) -> Letter:
    request = call.request

    def mailboxes(name: str) -> tuple[Mailbox, ...]:
        return tuple(_mailbox(one) for one in request.get(name, []))

    return Letter(
        sender=_mailbox(request["from"]),
        to=mailboxes("to"),
        cc=mailboxes("cc"),
        bcc=mailboxes("bcc"),
        reply_to=mailboxes("reply_to"),
        subject=request["subject"],
        text=request.get("text") or None,
        html=request.get("html"),
        headers={
            name: _decoded(value) for name, value in request.get("headers", {}).items()
        },
        files=tuple(
            File(
                filename=file["filename"],
                content=base64.b64decode(file["content"]),
                content_type=file.get("content_type"),
                content_id=file.get("content_id"),
            )
            for file in request.get("attachments", [])
        ),
        labels=_labels(request["tags"][:-1]),  # the last one is ours
    )


def at_mailgun(call: Call) -> Letter:
    def all_of(name: str) -> tuple[Any, ...]:
        return tuple(value for given, value in call.request if given == name)

    def mailboxes(name: str) -> tuple[Mailbox, ...]:
        return tuple(one for value in all_of(name) for one in _header(value))

    return Letter(
        sender=mailboxes("from")[0],
        to=mailboxes("to"),
        cc=mailboxes("cc"),
        bcc=mailboxes("bcc"),
        reply_to=mailboxes("h:Reply-To"),
        subject=all_of("subject")[0],
        text=call.text,
        html=call.html,
        headers={
            name.removeprefix("h:"): _decoded(value)
            for name, value in call.request
            if name.startswith("h:") and name != "h:Reply-To"
        },
        files=tuple(
            File(
                filename=file["filename"] if kind == "attachment" else None,
                content=base64.b64decode(file["base64"]),
                content_type=file["type"],
                content_id=file["filename"] if kind == "inline" else None,
            )
            for kind, file in call.request
            if kind in {"attachment", "inline"}
        ),
        labels=all_of("o:tag"),
    )


def at_relay(taken: Taken) -> Letter:
    message = taken.message
    # What stands there, as the head's own parser has faults of its own.
    head = email.message_from_bytes(taken.data, policy=email.policy.compat32)
    to, cc = _addresses(head, "to"), _addresses(head, "cc")
    shown = {addr.lower() for _, addr in (*to, *cc)}
    plain, page = message.get_body(("plain",)), message.get_body(("html",))
    return Letter(
        sender=_addresses(head, "from")[0],
        to=to,
        cc=cc,
        bcc=tuple(("", a) for a in taken.recipients if a.lower() not in shown),
        reply_to=_addresses(head, "reply-to"),
        subject=_decoded(_unfolded(head["subject"])),
        text=plain.get_content().replace("\r\n", "\n") if plain else None,
        html=page.get_content().replace("\r\n", "\n") if page else None,
        headers={
            name: _decoded(_unfolded(value))
            for name, value in head.items()
            if name.lower() not in OWN
        },
        files=tuple(
            File(
                filename=part.get_filename(),
                content=part.get_payload(decode=True),
                content_type=str(part["content-type"]).replace('"', ""),
                content_id=str(part["content-id"] or "").strip("<>") or None,
            )
            for part in message.walk()
            if part.get_content_disposition() in {"attachment", "inline"}
        ),
    )


def _addresses(message: Message, name: str) -> tuple[Mailbox, ...]:
    """Read the one header of that name, which may be absent."""
    found = message.get_all(name, [])
    assert len(found) <= 1
    return tuple(one for value in found for one in _header(_unfolded(value)))


def _header(value: str) -> tuple[Mailbox, ...]:
    """Read an address header as RFC 5322 has it: several mailboxes, encoded names."""
    assert value.isascii()
    return tuple((_decoded(name), addr) for name, addr in getaddresses([value]))


def _mailbox(value: str) -> Mailbox:
    [one] = _parsed(value)
    return one


def _unquoted(name: str) -> str:
    if name.startswith('"') and ("," in name or ";" in name):
        return name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return name


def _decoded(value: str) -> str:
    # Beside what is not ASCII an encoded word is only text that looks like one.
    if not value.startswith("=?utf-8?") or not value.isascii():
        return value
    return str(make_header(decode_header(value)))


def _unfolded(value: str) -> str:
    """Undo the folding of a header (RFC 5322 section 2.2.3)."""
    return value.replace("\r\n ", " ")
