"""Nasty input is refused with its field named, or arrives byte for byte.

Over the real adapters and their real transports, at a fake of each provider.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email import policy as policies
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from postroom.adapters.memory_store import MemoryStore
from postroom.adapters.providers.mailgun import MailgunProvider
from postroom.adapters.providers.resend import ResendProvider
from postroom.adapters.providers.sendgrid import SendgridProvider
from postroom.adapters.providers.smtp import SmtpProvider
from postroom.domain.email import Email
from postroom.domain.errors import UnbuildableError
from postroom.domain.outcome import Accepted
from postroom.domain.ports import Provider
from tests.adapters.providers.parts import (
    PATIENCE,
    everyone,
    mailgun_settings,
    resend_settings,
    sendgrid_settings,
    smtp_settings,
)
from tests.fake_provider import FakeProvider
from tests.fake_smtp import FakeSmtp
from tests.web import letters
from tests.web.letters import File, Letter
from tests.web.nasty import FIELDS, bodies
from tests.web.stand import Stand, a_body

#: What a provider cannot carry as it is meant, and says so before it is called; the
#: email then goes by another one. The word of the message, by provider.
CANNOT: dict[str, tuple[str, ...]] = {
    "resend": (
        "must end as its type wants it",
        "looks encoded",
        "tag's name may stand",
    ),
    "mailgun": ("a tag's name and value may be 127",),
    "sendgrid": ("a tag's name and value may be 254",),
    "smtp": (),
}

thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck)
)


@dataclass(repr=False)
class World:
    """The API, the four providers, and what they are connected to."""

    stand: Stand
    fake: FakeProvider
    relay: FakeSmtp
    providers: dict[str, Provider]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with FakeProvider() as fake, FakeSmtp() as relay:
        providers: dict[str, Provider] = {
            "sendgrid": SendgridProvider(sendgrid_settings(fake.url)),
            "mailgun": MailgunProvider(mailgun_settings(fake.url)),
            "resend": ResendProvider(resend_settings(fake.url)),
            "smtp": SmtpProvider(smtp_settings(relay.url)),
        }
        yield World(Stand(store=MemoryStore()), fake, relay, providers)
        for provider in providers.values():
            provider.close()


def accepted(world: World, body: dict[str, Any], nasty: set[str]) -> Email | None:
    """POST a body; if it is refused, insist that the fault's field is a nasty one."""
    answer = world.stand.post(body)
    if answer.status_code == 400:
        assert answer.json["errors"]
        for fault in answer.json["errors"]:
            assert re.match(r"\w+", fault["field"])[0] in nasty | {"text"}, fault
        return None
    assert answer.status_code == 201, answer.json
    email = world.stand.store.load(answer.json["id"])
    assert email is not None
    shown = world.stand.get(answer.headers["Location"]).json
    for field in ("subject", "headers", "metadata"):
        assert shown[field] == body.get(field, {})
    return email


def sent(world: World, email: Email, name: str) -> Letter | None:
    """Send an email by a provider, and return what arrived there."""
    provider = world.providers[name]
    world.fake.reset()
    world.relay.reset()
    try:
        built = provider.build(email, recipients=everyone(email))
    except UnbuildableError as ex:
        known = bool(ex.field) and any(words in str(ex) for words in CANNOT[name])
        if known:
            return None
        raise
    outcome = provider.send(built, timeout=PATIENCE)
    assert isinstance(outcome, Accepted), outcome
    assert not outcome.refused
    if name == "smtp":
        [taken] = world.relay.taken
        return letters.at_relay(taken)
    [call] = world.fake.calls
    read = {
        "sendgrid": letters.at_sendgrid,
        "mailgun": letters.at_mailgun,
        "resend": letters.at_resend,
    }
    return read[name](call)


def as_told_to(name: str, letter: Letter) -> Letter:
    """Return what a provider's form makes of a letter, where that is known."""
    change: dict[str, Any] = {}
    match name:
        case "sendgrid":
            change["files"] = tuple(
                dataclasses.replace(
                    file, content_type=(file.content_type or "").partition(";")[0]
                )
                for file in letter.files
            )
        case "mailgun":
            change["files"] = tuple(
                dataclasses.replace(file, filename=None) if file.content_id else file
                for file in letter.files
            )
        case "resend":
            change["files"] = tuple(
                dataclasses.replace(file, content_type=None)
                if file.content_type == "application/octet-stream"
                else file
                for file in letter.files
            )
        case "smtp":
            change["text"], change["html"] = (
                _lines(letter.text),
                _lines(letter.html),
            )
            change["files"] = tuple(map(_mime, letter.files))
            change["labels"] = ()
            # Nobody is told the names of hidden recipients.
            change["bcc"] = tuple(("", addr) for _, addr in letter.bcc)
    return dataclasses.replace(letter, **change)


def _mime(file: File) -> File:
    """Leave out quotes that say nothing; what MIME forbids to encode is bytes."""
    content_type = (file.content_type or "").replace('"', "")
    if content_type.startswith(("multipart/", "message/")):
        content_type = "application/octet-stream"
    return dataclasses.replace(file, content_type=content_type)


def _lines(text: str | None) -> str | None:
    """A text of MIME is made of whole lines."""
    if text is None:
        return None
    return re.sub("\r\n|\r", "\n", text).removesuffix("\n") + "\n"


def check(world: World, body: dict[str, Any], nasty: set[str]) -> None:
    email = accepted(world, body, nasty)
    if email is None:
        return
    for name in world.providers:
        letter = sent(world, email, name)
        if letter is not None:
            assert letter == as_told_to(name, letters.asked_for(body)), name


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_nasty_field_is_refused_or_arrives_byte_for_byte(
    world: World, field: str
) -> None:
    @settings(thorough, max_examples=40)
    @given(bodies(fields=(field,)))
    def with_a_nasty_field(drawn: tuple[dict[str, Any], set[str]]) -> None:
        check(world, *drawn)

    with_a_nasty_field()


def test_what_only_looks_encoded_arrives_as_it_is_written(world: World) -> None:
    for text in ("=?utf-8?q?Bcc=3A_eve?=\u3000", "=?utf-8?q?Bcc=3A_eve?=\xa0x"):
        check(world, a_body(headers={"X-A": text}), set())


@thorough
@given(bodies())
def test_nasty_fields_are_refused_or_arrive_byte_for_byte(
    world: World, drawn: tuple[dict[str, Any], set[str]]
) -> None:
    check(world, *drawn)


@thorough
@given(bodies(fields=("headers", "from", "reply_to", "subject")))
@example((a_body(headers={"X-A\r\nBcc": "eve@evil.example"}), {"headers"}))
@example((a_body(headers={"X-A": "1\r\nBcc: eve@evil.example"}), {"headers"}))
@example((a_body(headers={"X-A": "1\u2028Bcc: eve@evil.example"}), {"headers"}))
def test_a_message_over_smtp_has_exactly_the_headers_asked_for(
    world: World, drawn: tuple[dict[str, Any], set[str]]
) -> None:
    body, nasty = drawn
    email = accepted(world, body, nasty)
    if email is None:
        return
    sent(world, email, "smtp")

    [taken] = world.relay.taken
    for policy in (policies.default, policies.SMTP, policies.compat32):
        message = message_from_bytes(taken.data, policy=policy)
        assert sorted(message.keys()) == sorted(
            [
                *("Date", "From", "To", "Subject", "Message-ID", "MIME-Version"),
                *("X-Postroom-Email-Id", "Content-Type", "Content-Transfer-Encoding"),
                *(["Reply-To"] if body.get("reply_to") else []),
                *body.get("headers", {}),
            ]
        )
        assert not [part.defects for part in message.walk() if part.defects]
