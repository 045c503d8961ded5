"""SendGrid: the request that it gets, and the call."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from postroom.adapters.providers.sendgrid import SendgridProvider
from postroom.domain.email import Address, Attachment, Email, Tag
from postroom.domain.errors import UnbuildableError
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Unknown,
)
from tests.adapters.providers.parts import (
    EMAIL_ID,
    PATIENCE,
    SENDGRID_KEY,
    SHORT,
    an_email,
    bcc,
    cc,
    everyone,
    sendgrid_settings,
    to,
)
from tests.fake_provider import FakeProvider, Mode, Rule


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[SendgridProvider]:
    found = SendgridProvider(sendgrid_settings(fake.url))
    yield found
    found.close()


def send(
    provider: SendgridProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = provider.build(email, recipients=everyone(email))
    return provider.send(built, timeout=timeout)


def body_of(provider: SendgridProvider, email: Email) -> dict[str, Any]:
    built = provider.build(email, recipients=everyone(email))
    found: dict[str, Any] = json.loads(built.request.body)
    return found


def test_a_plain_email_is_the_least_that_sendgrid_takes(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    send(provider, an_email())

    call = fake.calls[0]
    assert call.path == "/v3/mail/send"
    assert call.headers["authorization"] == f"Bearer {SENDGRID_KEY}"
    assert call.headers["content-type"] == "application/json"
    assert call.request == {
        "personalizations": [{"to": [{"email": "ada@example.com"}]}],
        "from": {"email": "post@shop.example"},
        "subject": "Hi",
        "content": [{"type": "text/plain", "value": "Hello"}],
        "custom_args": {"postroom_email_id": EMAIL_ID},
    }


def test_all_of_an_email_is_carried(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    email = an_email(
        recipients=[
            to("ada@example.com", 'Love"lace, Ada'),
            to("bob@exämple.com", "Bob; the second"),
            cc("cleo@example.com", "Cléo"),
            bcc("dan@example.com"),
            bcc("ADA@example.com"),
        ],
        sender_name="Shop, Inc.",
        subject="Grüße, \U0001f600",
        text="plain ü",
        html="<b>bold</b>",
        reply_to=[Address(addr_spec="help@shop.example", display_name="Help, now")],
        headers={"X-Campaign": "spring", "X-Name": "Jörg"},
        tags=[Tag(name="kind", value="welcome"), Tag(name="kind", value="welcome")],
        metadata={"internal": "never-leaves"},
        attachments=[
            Attachment(
                filename="invoice.pdf",
                content=b"\x00\xff",
                content_type="application/pdf",
            ),
            Attachment(
                filename="logo.png",
                content=b"png",
                content_type="image/png; name=logo",
                content_id="logo",
            ),
        ],
    )

    outcome = send(provider, email)

    assert isinstance(outcome, Accepted)
    assert fake.calls[0].request == {
        "personalizations": [
            {
                "to": [
                    {"email": "ada@example.com", "name": '"Love\\"lace, Ada"'},
                    {"email": "bob@xn--exmple-cua.com", "name": '"Bob; the second"'},
                ],
                "cc": [{"email": "cleo@example.com", "name": "Cléo"}],
                "bcc": [{"email": "dan@example.com"}],
            }
        ],
        "from": {"email": "post@shop.example", "name": "Shop, Inc."},
        "reply_to": {"email": "help@shop.example", "name": "Help, now"},
        "subject": "Grüße, \U0001f600",
        "content": [
            {"type": "text/plain", "value": "plain ü"},
            {"type": "text/html", "value": "<b>bold</b>"},
        ],
        "headers": {"X-Campaign": "spring", "X-Name": "=?utf-8?b?SsO2cmc=?="},
        "categories": ["kind:welcome"],
        "attachments": [
            {
                "content": "AP8=",
                "type": "application/pdf",
                "filename": "invoice.pdf",
                "disposition": "attachment",
            },
            {
                "content": "cG5n",
                "type": "image/png",
                "filename": "logo.png",
                "disposition": "inline",
                "content_id": "logo",
            },
        ],
        "custom_args": {"postroom_email_id": EMAIL_ID},
    }
    assert b"never-leaves" not in fake.calls[0].raw


def test_several_reply_addresses_are_a_list(provider: SendgridProvider) -> None:
    email = an_email(
        reply_to=[Address(addr_spec="a@x.example"), Address(addr_spec="b@x.example")]
    )

    body = body_of(provider, email)

    assert body["reply_to_list"] == [{"email": "a@x.example"}, {"email": "b@x.example"}]
    assert "reply_to" not in body


def test_an_empty_text_is_left_out(provider: SendgridProvider) -> None:
    body = body_of(provider, an_email(text="", html="<p>only</p>"))

    assert body["content"] == [{"type": "text/html", "value": "<p>only</p>"}]


def test_a_long_header_is_encoded_on_one_line(provider: SendgridProvider) -> None:
    body = body_of(provider, an_email(headers={"X-Long": "ü" * 300}))

    value = body["headers"]["X-Long"]
    assert value.isascii()
    assert "\n" not in value


@pytest.mark.parametrize(
    ("email", "field"),
    [
        pytest.param(an_email(subject=""), "subject", id="no subject"),
        pytest.param(an_email(text="\ud800"), "text", id="no Unicode"),
        pytest.param(an_email(headers={"X-SMTPAPI": "{}"}), "headers", id="X-SMTPAPI"),
        pytest.param(an_email(headers={"X-SG-ID": "1"}), "headers", id="X-SG-ID"),
        pytest.param(
            an_email(tags=[Tag(name=f"t{n}", value="x") for n in range(11)]),
            "tags",
            id="eleven tags",
        ),
        pytest.param(
            an_email(tags=[Tag(name="t", value="x" * 254)]), "tags", id="a long tag"
        ),
        pytest.param(an_email(sender="jörg@x.example"), "from", id="a Unicode From"),
        pytest.param(an_email(recipients=[bcc("a@b.example")]), "to", id="no to"),
        pytest.param(
            an_email(
                attachments=[
                    Attachment(filename="a\r\nb", content=b"", content_type="a/b")
                ]
            ),
            "attachments",
            id="a file of two lines",
        ),
    ],
)
def test_what_sendgrid_would_refuse_or_change_is_not_built(
    provider: SendgridProvider, email: Email, field: str
) -> None:
    with pytest.raises(UnbuildableError) as caught:
        provider.build(email, recipients=everyone(email))

    assert caught.value.field == field


def test_no_answer_in_time_is_unknown(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    fake.script(Rule(mode=Mode.HANG))

    outcome = send(provider, an_email(), timeout=SHORT)

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "timeout"


def test_nobody_at_the_other_end_sends_nothing() -> None:
    provider = SendgridProvider(sendgrid_settings("http://127.0.0.1:1"))

    assert isinstance(send(provider, an_email()), NotSent)


def test_nothing_that_is_printed_shows_the_key_or_the_email(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    built = provider.build(an_email(), recipients=(0,))
    outcome = provider.send(built, timeout=PATIENCE)

    shown = repr((provider, built, built.request, outcome, provider.profile))

    assert SENDGRID_KEY not in shown
    assert "ada@example.com" not in shown


def test_the_profile_says_what_sendgrid_carries(provider: SendgridProvider) -> None:
    profile = provider.profile

    assert (profile.name, profile.kind) == ("sendgrid", "sendgrid")
    # 30 MB of MIME: base64 in lines of 76 and a line end each.
    assert profile.max_size_bytes * 4 / 3 * 78 / 76 < 30_000_000
    assert profile.max_recipients == 1000
    assert profile.key_ttl_s == 0
