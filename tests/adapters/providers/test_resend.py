"""Resend: the request that it gets, and the call."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from postroom.adapters.mongo_codec import from_document, to_document
from postroom.adapters.providers.resend import ResendProvider
from postroom.domain.email import Address, Attachment, Email, Tag
from postroom.domain.errors import UnbuildableError
from postroom.domain.outcome import Accepted, NotSent, Outcome, Unknown
from tests.adapters.providers.parts import (
    EMAIL_ID,
    PATIENCE,
    RESEND_KEY,
    SHORT,
    an_email,
    bcc,
    cc,
    everyone,
    resend_settings,
    to,
)
from tests.fake_provider import FakeProvider, Mode, Rule

ID_TAG = {"name": "postroom_email_id", "value": EMAIL_ID}


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[ResendProvider]:
    found = ResendProvider(resend_settings(fake.url))
    yield found
    found.close()


def send(
    provider: ResendProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = provider.build(email, recipients=everyone(email))
    return provider.send(built, timeout=timeout)


def body_of(provider: ResendProvider, email: Email) -> dict[str, Any]:
    built = provider.build(email, recipients=everyone(email))
    found: dict[str, Any] = json.loads(built.request.body)
    return found


def a_file(
    filename: str, content_type: str, *, content_id: str | None = None
) -> Attachment:
    return Attachment(
        filename=filename,
        content=b"\x00\xff",
        content_type=content_type,
        content_id=content_id,
    )


def a_full_email() -> Email:
    return an_email(
        recipients=[
            to("ada@example.com", 'Love"lace, Ada'),
            to("bob@exämple.com", "Bob"),
            cc("cleo@example.com", "Cléo"),
            bcc("dan@example.com"),
            bcc("ADA@example.com"),
        ],
        sender_name="Shop, Inc.",
        subject="Grüße, \U0001f600",
        text="plain ü",
        html="<b>bold</b>",
        reply_to=[
            Address(addr_spec="help@shop.example", display_name="Help, now"),
            Address(addr_spec="b@shop.example"),
        ],
        headers={"X-Name": "Jörg", "X-Entity-Ref-ID": "7"},
        tags=[Tag(name="kind", value="welcome"), Tag(name="kind", value="welcome")],
        metadata={"internal": "never-leaves"},
        attachments=[
            a_file("invoice.pdf", "application/pdf"),
            a_file("logo.png", "image/png; name=logo", content_id="logo"),
        ],
    )


def test_a_plain_email_is_the_least_that_resend_takes(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    send(provider, an_email())

    call = fake.calls[0]
    assert call.path == "/emails"
    assert call.headers["authorization"] == f"Bearer {RESEND_KEY}"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"] == "postroom"
    assert "idempotency-key" not in call.headers
    assert call.request == {
        "from": "post@shop.example",
        "to": ["ada@example.com"],
        "subject": "Hi",
        "text": "Hello",
        "tags": [ID_TAG],
    }


def test_all_of_an_email_is_carried(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    outcome = send(provider, a_full_email())

    assert isinstance(outcome, Accepted)
    assert fake.calls[0].request == {
        "from": '"Shop, Inc." <post@shop.example>',
        "to": ['"Love\\"lace, Ada" <ada@example.com>', "Bob <bob@xn--exmple-cua.com>"],
        "cc": ["Cléo <cleo@example.com>"],
        "bcc": ["dan@example.com"],
        "reply_to": ['"Help, now" <help@shop.example>', "b@shop.example"],
        "subject": "Grüße, \U0001f600",
        "text": "plain ü",
        "html": "<b>bold</b>",
        "headers": {"X-Name": "Jörg", "X-Entity-Ref-ID": "7"},
        "attachments": [
            {
                "filename": "invoice.pdf",
                "content": "AP8=",
                "content_type": "application/pdf",
            },
            {
                "filename": "logo.png",
                "content": "AP8=",
                "content_type": "image/png; name=logo",
                "content_id": "logo",
            },
        ],
        "tags": [{"name": "kind", "value": "welcome"}, ID_TAG],
    }
    assert b"never-leaves" not in fake.calls[0].raw


def test_only_the_recipients_of_the_attempt_are_addressed(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    built = provider.build(a_full_email(), recipients=[1])

    provider.send(built, timeout=PATIENCE)

    assert fake.calls[0].recipients == ("bob@xn--exmple-cua.com",)


def test_the_key_goes_into_its_header(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    key = f"{EMAIL_ID}-1"

    built = provider.build(an_email(), recipients=(0,), key=key)
    provider.send(built, timeout=PATIENCE)

    assert fake.calls[0].headers["idempotency-key"] == key
    assert key.encode() not in built.request.body


def test_a_repetition_has_the_same_body_also_after_a_crash(
    provider: ResendProvider,
) -> None:
    """It is built by another process, from what is stored."""
    email = a_full_email()
    stored = from_document(to_document(email))
    another = ResendProvider(resend_settings("http://127.0.0.1:1", name="resend"))

    first = provider.build(email, recipients=everyone(email), key="k").request
    again = another.build(stored, recipients=everyone(stored), key="k").request

    assert first == again


def test_a_repetition_with_its_key_is_no_second_email(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    fake.script(Rule(mode=Mode.DROP, accepts=True, times=1))
    built = provider.build(an_email(), recipients=(0,), key="k")

    first = provider.send(built, timeout=PATIENCE)
    again = provider.send(built, timeout=PATIENCE)

    assert isinstance(first, Unknown)
    assert again == Accepted(provider_message_id=fake.taken[0].message_id)
    assert len(fake.taken) == 1


def test_no_plain_text_is_made_of_the_html(provider: ResendProvider) -> None:
    body = body_of(provider, an_email(text=None, html="<p>only</p>"))

    assert (body["text"], body["html"]) == ("", "<p>only</p>")


@pytest.mark.parametrize(
    ("filename", "content_type", "sent"),
    [
        ("a.csv", "text/csv", "text/csv"),
        ("a.csv", "TEXT/CSV; charset=utf-8", "TEXT/CSV; charset=utf-8"),
        ("a.xml", "application/xml", "application/xml"),
        ("a.xml", "text/xml", "text/xml"),
        ("a.custom", "text/x-custom", "text/x-custom"),
        ("README", "text/plain", "text/plain"),
        ("a.tar.gz", "application/gzip", "application/gzip"),
        ("a.pdf", "application/octet-stream", None),
    ],
)
def test_a_file_is_sent_as_what_it_is(
    provider: ResendProvider, filename: str, content_type: str, sent: str | None
) -> None:
    body = body_of(provider, an_email(attachments=[a_file(filename, content_type)]))

    assert body["attachments"][0].get("content_type") == sent


@pytest.mark.parametrize(
    ("email", "field"),
    [
        pytest.param(an_email(subject=""), "subject", id="no subject"),
        pytest.param(an_email(text="\ud800"), "text", id="no Unicode"),
        pytest.param(
            an_email(headers={"X-Resend-Id": "1"}), "headers", id="X-Resend-Id"
        ),
        pytest.param(
            an_email(headers={"Resend-Idempotency-Key": "1"}),
            "headers",
            id="Resend-Idempotency-Key",
        ),
        pytest.param(
            an_email(tags=[Tag(name=f"t{n}", value="x") for n in range(75)]),
            "tags",
            id="seventy-five tags",
        ),
        pytest.param(
            an_email(tags=[Tag(name="t", value="x" * 257)]), "tags", id="a long tag"
        ),
        pytest.param(
            an_email(tags=[Tag(name="t t", value="x")]), "tags", id="a tag's space"
        ),
        pytest.param(
            an_email(tags=[Tag(name="t", value="1"), Tag(name="t", value="2")]),
            "tags",
            id="two values",
        ),
        pytest.param(
            an_email(tags=[Tag(name="postroom_email_id", value="x")]),
            "tags",
            id="our tag",
        ),
        pytest.param(an_email(sender="jörg@x.example"), "from", id="a Unicode From"),
        pytest.param(
            an_email(sender_name="=?utf-8?q?x?="), "from", id="an encoded name"
        ),
        pytest.param(an_email(recipients=[bcc("a@b.example")]), "to", id="no to"),
        pytest.param(
            an_email(attachments=[a_file("a\r\nb", "a/b")]),
            "attachments",
            id="a file of two lines",
        ),
        pytest.param(
            an_email(attachments=[a_file("data.txt", "text/csv")]),
            "attachments",
            id="a file with another's name",
        ),
        pytest.param(
            an_email(attachments=[a_file("", "text/csv")]),
            "attachments",
            id="a file without a name",
        ),
    ],
)
def test_what_resend_would_refuse_change_or_lose_is_not_built(
    provider: ResendProvider, email: Email, field: str
) -> None:
    with pytest.raises(UnbuildableError) as caught:
        provider.build(email, recipients=everyone(email))

    assert caught.value.field == field


def test_no_answer_in_time_is_unknown(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    fake.script(Rule(mode=Mode.HANG))

    outcome = send(provider, an_email(), timeout=SHORT)

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "timeout"


def test_nobody_at_the_other_end_sends_nothing() -> None:
    provider = ResendProvider(resend_settings("http://127.0.0.1:1"))

    assert isinstance(send(provider, an_email()), NotSent)


def test_nothing_that_is_printed_shows_the_api_key_or_the_email(
    provider: ResendProvider,
) -> None:
    built = provider.build(an_email(), recipients=(0,), key="k")
    outcome = provider.send(built, timeout=PATIENCE)

    shown = repr((provider, built, built.request, outcome, provider.profile))

    assert RESEND_KEY not in shown
    assert "ada@example.com" not in shown


def test_the_profile_says_what_resend_carries(provider: ResendProvider) -> None:
    profile = provider.profile

    assert (profile.name, profile.kind) == ("resend", "resend")
    # 40 MB of MIME: base64 in lines of 76 and a line end each.
    assert profile.max_size_bytes * 4 / 3 * 78 / 76 < 40_000_000
    assert profile.max_recipients == 50
    assert profile.key_ttl_s == 24 * 60 * 60
