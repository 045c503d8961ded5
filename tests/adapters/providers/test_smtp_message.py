"""The bytes of an email: what was asked for arrives, and nothing else."""

import email
import email.policy
import re
from collections.abc import Sequence
from datetime import timedelta
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.adapters.providers.contents import OWN_HEADERS
from postroom.adapters.providers.smtp_message import (
    Mailbox,
    Transaction,
    transaction_of,
)
from postroom.domain.address import parse_address
from postroom.domain.email import Address, Attachment, Email, Recipient, Tag
from postroom.domain.errors import UnbuildableError
from tests.adapters.providers.parts import (
    EMAIL_ID,
    NOW,
    an_email,
    bcc,
    cc,
    everyone,
    to,
)

#: No control characters and no separators, as the API refuses them; anything else.
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120)
ANYTHING = st.text(max_size=60)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)
PDF = "application/pdf"


def built(mail: Email, recipients: Sequence[int] | None = None) -> Transaction:
    chosen = everyone(mail) if recipients is None else recipients
    return transaction_of(mail, chosen)


def arrived(transaction: Transaction) -> EmailMessage:
    """Return what a reader makes of it, after a relay took the dots away."""
    data = re.sub(rb"(?m)^\.\.", b".", transaction.data)
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def mailboxes_of(transaction: Transaction, name: str) -> list[tuple[str, str]]:
    """Return names and addresses of a header, by the older reader.

    The newer one puts a space between encoded words: RFC 2047 section 6.2 has none.
    """
    (raw,) = email.message_from_bytes(transaction.data).get_all(name, [])
    return [
        (str(make_header(decode_header(shown))), path)
        for shown, path in getaddresses([raw.replace("\r\n", "")])
    ]


def content_of(part: EmailMessage | None) -> str:
    assert part is not None
    content: str = part.get_content()
    return content


def shape(message: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in message.walk()]


def a_file(name: str = "a.pdf", **given: object) -> Attachment:
    defaults: dict[str, object] = {"content": b"\x00\xff\r\n.\r\n", "content_type": PDF}
    return Attachment(filename=name, **(defaults | given))  # type: ignore[arg-type]


def test_the_least_email_compared_as_a_whole() -> None:
    found = built(an_email())

    assert found == Transaction(
        sender="post@shop.example",
        mailboxes=(Mailbox(path="ada@example.com", positions=(0,)),),
        message_id=f"{EMAIL_ID}@shop.example",
        data=(
            "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
            "From: post@shop.example\r\n"
            "To: ada@example.com\r\n"
            "Subject: Hi\r\n"
            f"Message-ID: <{EMAIL_ID}@shop.example>\r\n"
            f"X-Postroom-Email-Id: {EMAIL_ID}\r\n"
            'Content-Type: text/plain; charset="utf-8"\r\n'
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "MIME-Version: 1.0\r\n"
            "\r\n"
            "Hello\r\n"
        ).encode(),
    )


def test_an_email_with_everything_in_it() -> None:
    mail = an_email(
        recipients=[
            to("ada@example.com", "Ada, Countess"),
            to("bob@straße.example"),
            cc("cia@example.com", "Zoë"),
            bcc("dan@example.com"),
        ],
        sender="post@täst.example",
        sender_name="Shop",
        subject="Grüße",
        html="<p>Hällo</p>",
        reply_to=[
            Address(addr_spec="help@shop.example"),
            Address(addr_spec="desk@shop.example", display_name="Desk"),
        ],
        headers={"X-Order": "7", "List-Unsubscribe": "<https://shop.example/u?x=1>"},
        tags=[Tag(name="kind", value="receipt")],
        metadata={"secret": "canary"},
        attachments=[
            a_file("Rechnung März.pdf"),
            a_file("logo.png", content_type="image/png", content_id="logo"),
        ],
    )

    found = built(mail)

    message = arrived(found)
    assert message["From"] == "Shop <post@xn--tst-qla.example>"
    assert message["To"].addresses[0].display_name == "Ada, Countess"
    assert [a.addr_spec for a in message["To"].addresses] == [
        "ada@example.com",
        "bob@xn--strae-oqa.example",
    ]
    assert [str(address) for address in message["Cc"].addresses] == [
        "Zoë <cia@example.com>"
    ]
    assert message["Reply-To"] == "help@shop.example, Desk <desk@shop.example>"
    assert message["Subject"] == "Grüße"
    assert message["X-Order"] == "7"
    assert message["List-Unsubscribe"] == "<https://shop.example/u?x=1>"
    assert message["Message-ID"] == f"<{EMAIL_ID}@xn--tst-qla.example>"
    assert shape(message) == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "Rechnung März.pdf"
    assert attached.get_content() == b"\x00\xff\r\n.\r\n"
    assert b"dan@example.com" not in found.data
    assert b"canary" not in found.data
    assert b"receipt" not in found.data
    assert found.sender == "post@xn--tst-qla.example"
    assert [mailbox.path for mailbox in found.mailboxes] == [
        "ada@example.com",
        "bob@xn--strae-oqa.example",
        "cia@example.com",
        "dan@example.com",
    ]


@pytest.mark.parametrize(
    ("given_email", "expected"),
    [
        pytest.param(an_email(), ["text/plain"], id="text"),
        pytest.param(an_email(text=None, html="<p>"), ["text/html"], id="html"),
        pytest.param(
            an_email(html="<p>"),
            ["multipart/alternative", "text/plain", "text/html"],
            id="both",
        ),
        pytest.param(
            an_email(attachments=[a_file()]),
            ["multipart/mixed", "text/plain", PDF],
            id="text and file",
        ),
        pytest.param(
            an_email(text=None, html="<p>", attachments=[a_file(content_id="x")]),
            ["multipart/related", "text/html", PDF],
            id="html and inline",
        ),
        pytest.param(
            an_email(
                text=None,
                html="<p>",
                attachments=[a_file(), a_file("b", content_id="x"), a_file("c")],
            ),
            ["multipart/mixed", "multipart/related", "text/html", PDF, PDF, PDF],
            id="html and all",
        ),
        pytest.param(
            an_email(attachments=[a_file(content_id="x")]),
            ["multipart/mixed", "text/plain", PDF],
            id="inline without html",
        ),
    ],
)
def test_parts_are_nested_as_readers_expect(
    given_email: Email, expected: list[str]
) -> None:
    assert shape(arrived(built(given_email))) == expected


def test_an_inline_file_is_found_by_its_content_id() -> None:
    mail = an_email(
        html="<img src='cid:logo'>", attachments=[a_file(content_id="logo")]
    )

    (part,) = [p for p in arrived(built(mail)).walk() if p["Content-ID"]]

    assert part["Content-ID"] == "<logo>"
    assert part.get_content_disposition() == "inline"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/calendar; method=REQUEST; charset=utf-8", "text/calendar"),
        ("text/csv", "text/csv"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
    ],
)
def test_files_of_every_kind_arrive_as_they_were(
    content_type: str, expected: str
) -> None:
    content = b"From: a@b.cd\r\n\r\nlines\n\rof any kind\x00\xff"
    mail = an_email(attachments=[a_file(content=content, content_type=content_type)])

    (part,) = arrived(built(mail)).iter_attachments()

    assert part.get_content_type() == expected
    assert part.get_payload(decode=True) == content
    if "method" in content_type:
        assert part["Content-Type"].params["method"] == "REQUEST"


def test_the_same_email_makes_the_same_bytes_for_every_part_of_its_recipients() -> None:
    mail = an_email(
        recipients=[to("a@x.example"), cc("b@x.example"), bcc("c@x.example")],
        html="<p>",
        attachments=[a_file()],
    )

    first, second = built(mail), built(mail, (2,))

    assert first.data == second.data
    assert [mailbox.positions for mailbox in first.mailboxes] == [(0,), (1,), (2,)]
    assert [mailbox.positions for mailbox in second.mailboxes] == [(2,)]


def test_a_part_without_any_to_can_be_built() -> None:
    mail = an_email(recipients=[to("a@x.example"), bcc("b@x.example")])

    found = built(mail, (1,))

    assert [mailbox.path for mailbox in found.mailboxes] == ["b@x.example"]
    assert arrived(found)["To"] == "a@x.example"


def test_the_date_is_when_the_email_became_due() -> None:
    due = NOW + timedelta(days=1)

    scheduled = an_email(first_due_at=due)
    redriven = an_email(first_due_at=due, redriven_at=due + timedelta(days=1))

    assert arrived(built(scheduled))["Date"].datetime == due
    assert arrived(built(redriven))["Date"].datetime == due + timedelta(days=1)


@pytest.mark.parametrize(
    "text", [".", "..", ".\n.", "a\n.\nb", "\r\n.\r\n", "\n.\r\n.\r\r\n.", "x\r.\r"]
)
def test_a_dot_never_ends_the_email_early(text: str) -> None:
    found = built(an_email(text=text))

    assert b"\r\n.\r\n" not in found.data
    assert _lines(content_of(arrived(found))) == _lines(text)


@given(text=TEXT, html=TEXT)
def test_texts_arrive_and_every_line_is_short_and_7_bit(text: str, html: str) -> None:
    found = built(an_email(text=text, html=html))

    message = arrived(found)
    assert _lines(content_of(message.get_body(("plain",)))) == _lines(text)
    assert _lines(content_of(message.get_body(("html",)))) == _lines(html)
    _check_lines(found.data)


@given(subject=LINE, name=LINE, other=LINE, value=LINE)
def test_headers_arrive_whole(subject: str, name: str, other: str, value: str) -> None:
    mail = an_email(
        subject=subject,
        sender_name=name,
        recipients=[to("a@x.example", name), to("b@x.example", other)],
        headers={"X-Own": value},
    )

    found = built(mail)

    message = arrived(found)
    assert [(path, _words(shown)) for shown, path in mailboxes_of(found, "To")] == [
        ("a@x.example", _words(name)),
        ("b@x.example", _words(other)),
    ]
    assert message["From"].addresses[0].addr_spec == "post@shop.example"
    assert _words(message["Subject"] or "") == _words(subject)
    _check_lines(found.data)


@given(
    subject=ANYTHING, name=ANYTHING, addr_spec=ANYTHING, header=ANYTHING, value=ANYTHING
)
def test_no_text_becomes_a_header_or_a_recipient(
    subject: str, name: str, addr_spec: str, header: str, value: str
) -> None:
    mail = an_email(
        subject=subject,
        sender_name=name,
        recipients=[to("a@x.example"), to(f"{addr_spec}@x.example", name)],
        headers={f"X-{header}": value},
        reply_to=[Address(addr_spec="r@x.example", display_name=name)],
        attachments=[a_file(name)],
    )
    try:
        found = built(mail)
    except UnbuildableError:
        return

    head = found.data.partition(b"\r\n\r\n")[0]
    names = {
        line.partition(b":")[0].decode().lower()
        for line in head.split(b"\r\n")
        if not line.startswith(b" ")
    }
    assert names <= {*OWN_HEADERS, f"x-{header}".lower(), "x-postroom-email-id"}
    assert "bcc" not in names
    assert len(arrived(found)["To"].addresses) == 2
    assert len(found.mailboxes) == 2
    for mailbox in found.mailboxes:
        assert re.fullmatch(r"[!-~]+@x\.example", mailbox.path)
        assert not set(mailbox.path) & set('<>()[],;:\\"')


@given(filename=LINE.filter(lambda text: text.strip() != ""))
def test_names_of_files_arrive(filename: str) -> None:
    found = built(an_email(attachments=[a_file(filename)]))

    (part,) = arrived(found).iter_attachments()
    assert _words(part.get_filename() or "") == _words(filename)
    _check_lines(found.data)


def test_a_name_that_looks_encoded_stays_as_it_is() -> None:
    name = "=?utf-8?q?boss=40example.com?="

    message = arrived(built(an_email(sender_name=name, subject=name)))

    assert message["From"].addresses[0].display_name == name
    assert message["Subject"] == name


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"subject": "a\r\nBcc: x@y.example"}, "subject", id="subject"),
        pytest.param({"sender_name": "a\nb"}, "from", id="name"),
        pytest.param({"sender": "jörg@shop.example"}, "from", id="local part"),
        pytest.param({"sender": "a@b.example> SIZE=1 <x"}, "from", id="path"),
        pytest.param({"sender": "shop.example"}, "from", id="no local part"),
        pytest.param({"headers": {"X-A": "a\r\nB: c"}}, "headers", id="header"),
        pytest.param({"headers": {"X-A": "x" * 999}}, "headers", id="long word"),
        pytest.param({"headers": {"Bcc": "x@y.example"}}, "headers", id="bcc"),
        pytest.param({"headers": {"X-Postroom-A": "x"}}, "headers", id="ours"),
        pytest.param({"headers": {"Resent-To": "x"}}, "headers", id="resent"),
        pytest.param({"text": "\ud800"}, "text", id="surrogate in text"),
        pytest.param({"subject": "\ud800"}, "subject", id="surrogate in subject"),
        pytest.param({"text": None}, "text", id="nothing to say"),
        pytest.param({"attachments": [a_file("a\nb")]}, "attachments", id="file name"),
        pytest.param(
            {"attachments": [a_file(content_type="a/b\r\nX: y")]},
            "attachments",
            id="content type",
        ),
        pytest.param(
            {"attachments": [a_file(content_id="a>\r\nX: y")]},
            "attachments",
            id="content id",
        ),
    ],
)
def test_what_cannot_be_carried_is_not_built(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(UnbuildableError) as caught:
        built(an_email(**changes))  # type: ignore[arg-type]  # a builder's

    assert caught.value.field == field


def test_without_a_recipient_nothing_is_built() -> None:
    with pytest.raises(UnbuildableError):
        built(an_email(), ())


def test_every_address_that_the_api_takes_can_be_carried() -> None:
    local_part = "#$&'*+-/=?^_`{|}~.a"
    address = parse_address(f"{local_part}@example.com")
    recipient = Recipient(kind=to("x").kind, addr_spec=address.addr_spec)

    found = built(an_email(recipients=[recipient]))

    assert found.mailboxes[0].path == f"{local_part}@example.com"
    assert arrived(found)["To"].addresses[0].addr_spec == f"{local_part}@example.com"


@pytest.mark.parametrize("name", ["Ada  Lovelace", " Ada", "Ada "])
def test_the_spaces_of_a_name_arrive(name: str) -> None:
    message = arrived(built(an_email(sender_name=name)))

    assert message["From"].addresses[0].display_name == name


@pytest.mark.parametrize("subject", [" Hi", "Hi ", "Hi  there"])
def test_the_spaces_of_a_subject_arrive(subject: str) -> None:
    assert arrived(built(an_email(subject=subject)))["Subject"] == subject


def test_many_long_names_make_short_lines() -> None:
    mail = an_email(
        recipients=[to(f"r{n}@example.com", "Ünï " * 60) for n in range(50)],
        subject="long " * 190,
    )

    found = built(mail)

    _check_lines(found.data)
    assert len(arrived(found)["To"].addresses) == 50


def _check_lines(data: bytes) -> None:
    assert data.isascii()
    assert data.endswith(b"\r\n")
    lines = data.split(b"\r\n")
    assert all(b"\r" not in line and b"\n" not in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert b"." not in lines


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _words(text: str) -> list[str]:
    return text.split()
