"""Mailgun: the request that it gets, and the call."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest

from postroom.adapters.providers.mailgun import MailgunProvider
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
    MAILGUN_KEY,
    PATIENCE,
    SHORT,
    an_email,
    bcc,
    cc,
    everyone,
    mailgun_settings,
    to,
)
from tests.fake_provider import FakeProvider, Mode, Rule

#: What leaves as `Authorization: Basic`.
PASSWORD = base64.b64encode(f"api:{MAILGUN_KEY}".encode()).decode()


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[MailgunProvider]:
    found = MailgunProvider(mailgun_settings(fake.url))
    yield found
    found.close()


def send(
    provider: MailgunProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = provider.build(email, recipients=everyone(email))
    return provider.send(built, timeout=timeout)


def test_a_plain_email_is_the_least_that_mailgun_takes(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    send(provider, an_email())

    call = fake.calls[0]
    assert call.path == "/v3/mg.example.com/messages"
    assert call.headers["authorization"] == f"Basic {PASSWORD}"
    assert call.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert call.request == [
        ["from", "post@shop.example"],
        ["to", "ada@example.com"],
        ["subject", "Hi"],
        ["text", "Hello"],
        ["v:postroom_email_id", EMAIL_ID],
    ]


FULL = an_email(
    recipients=[
        to("ada@example.com", 'Love"lace, Ada'),
        to("bob@exämple.com", "Bob"),
        cc("cleo@example.com", "Cléo"),
        bcc("dan@example.com"),
        bcc("ADA@example.com"),
    ],
    sender_name="Shop, Inc.",
    subject="Grüße, \U0001f600 & more=1",
    text="plain ü\r\nsecond line + 100%",
    html="<b>bold</b>",
    reply_to=[
        Address(addr_spec="help@shop.example", display_name="Help, now"),
        Address(addr_spec="b@shop.example"),
    ],
    headers={"X-Campaign": "spring", "X-Name": "Jörg"},
    tags=[Tag(name="kind", value="welcome"), Tag(name="beta", value="")],
    metadata={"internal": "never-leaves"},
)

FIELDS = [
    ["from", '"Shop, Inc." <post@shop.example>'],
    ["to", '"Love\\"lace, Ada" <ada@example.com>'],
    ["to", "Bob <bob@xn--exmple-cua.com>"],
    ["cc", "=?utf-8?b?Q2zDqW8=?= <cleo@example.com>"],
    ["bcc", "dan@example.com"],
    ["h:Reply-To", '"Help, now" <help@shop.example>, b@shop.example'],
    ["subject", "Grüße, \U0001f600 & more=1"],
    ["text", "plain ü\r\nsecond line + 100%"],
    ["html", "<b>bold</b>"],
    ["h:X-Campaign", "spring"],
    ["h:X-Name", "Jörg"],
    ["o:tag", "kind:welcome"],
    ["o:tag", "beta"],
    ["v:postroom_email_id", EMAIL_ID],
]


def test_all_of_an_email_is_carried(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    outcome = send(provider, FULL)

    assert isinstance(outcome, Accepted)
    assert fake.calls[0].request == FIELDS
    assert b"never-leaves" not in fake.calls[0].raw


def test_files_are_carried_byte_for_byte_beside_the_same_fields(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    content = bytes(range(256)) + b"\r\n--boundary\r\n\r\n"
    assert FULL.content is not None
    email = an_email(
        recipients=FULL.recipients,
        sender_name="Shop, Inc.",
        subject=FULL.content.subject,
        text=FULL.content.text,
        html=FULL.content.html,
        reply_to=FULL.content.reply_to,
        headers=FULL.content.headers,
        tags=FULL.content.tags,
        attachments=[
            Attachment(
                filename='in"voice ü.pdf', content=content, content_type="a/pdf"
            ),
            Attachment(
                filename="logo.png",
                content=b"png",
                content_type="image/png",
                content_id="logo@shop",
            ),
        ],
    )

    send(provider, email)

    assert fake.calls[0].request == [
        *FIELDS,
        [
            "attachment",
            {
                "filename": "in%22voice ü.pdf",
                "type": "a/pdf",
                "base64": base64.b64encode(content).decode(),
            },
        ],
        [
            "inline",
            {"filename": "logo@shop", "type": "image/png", "base64": "cG5n"},
        ],
    ]


def test_a_long_name_is_encoded_on_one_line(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    send(provider, an_email(recipients=[to("ada@example.com", "Ü" * 200)]))

    (value,) = [value for name, value in fake.calls[0].request if name == "to"]
    assert value.isascii()
    assert "\n" not in value
    assert all(len(word) <= 75 for word in value.split()[:-1])


def test_the_domain_cannot_lead_to_another_path(fake: FakeProvider) -> None:
    provider = MailgunProvider(mailgun_settings(fake.url, domain="a/b?c"))

    built = provider.build(an_email(), recipients=(0,))

    assert built.request.path == "/v3/a%2Fb%3Fc/messages"


@pytest.mark.parametrize(
    ("email", "field"),
    [
        pytest.param(an_email(text="\ud800"), "text", id="no Unicode"),
        pytest.param(an_email(sender_name="\ud800"), "from", id="no Unicode name"),
        pytest.param(
            an_email(headers={"X-Mailgun-Tag": "x"}), "headers", id="X-Mailgun-Tag"
        ),
        pytest.param(
            an_email(tags=[Tag(name=f"t{n}", value="x") for n in range(11)]),
            "tags",
            id="eleven tags",
        ),
        pytest.param(
            an_email(tags=[Tag(name="t", value="x" * 127)]), "tags", id="a long tag"
        ),
        pytest.param(an_email(sender="jörg@x.example"), "from", id="a Unicode From"),
        pytest.param(an_email(recipients=[cc("a@b.example")]), "to", id="no to"),
        pytest.param(
            an_email(
                attachments=[
                    Attachment(filename="a", content=b"", content_type="a/b\r\nX: y")
                ]
            ),
            "attachments",
            id="a type of two lines",
        ),
    ],
)
def test_what_mailgun_would_refuse_or_change_is_not_built(
    provider: MailgunProvider, email: Email, field: str
) -> None:
    with pytest.raises(UnbuildableError) as caught:
        provider.build(email, recipients=everyone(email))

    assert caught.value.field == field


def test_no_answer_in_time_is_unknown(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    fake.script(Rule(mode=Mode.SLOW))

    outcome = send(provider, an_email(), timeout=SHORT)

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "timeout"


def test_nobody_at_the_other_end_sends_nothing() -> None:
    provider = MailgunProvider(mailgun_settings("http://127.0.0.1:1"))

    assert isinstance(send(provider, an_email()), NotSent)


def test_nothing_that_is_printed_shows_the_key_or_the_email(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    built = provider.build(an_email(), recipients=(0,))
    outcome = provider.send(built, timeout=PATIENCE)

    shown = repr((provider, built, built.request, outcome, provider.profile))

    assert MAILGUN_KEY not in shown
    assert PASSWORD not in shown
    assert "ada@example.com" not in shown


def test_the_profile_says_what_mailgun_carries(provider: MailgunProvider) -> None:
    profile = provider.profile

    assert (profile.name, profile.kind) == ("mailgun", "mailgun")
    # 25 MB of MIME: base64 in lines of 76 and a line end each.
    assert profile.max_size_bytes * 4 / 3 * 78 / 76 < 25_000_000
    assert profile.max_recipients == 1000
    assert profile.key_ttl_s == 0
