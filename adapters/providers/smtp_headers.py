"""The head of an email as bytes on the wire: encoded, folded, nothing smuggled in.

The standard library's own folding of addresses has lost quotes and encoded commas in
many of its releases, which makes other recipients of one name; see the record of this
decision, docs/adr/0014-smtp.md. What goes in here is whole already: a line is folded at
spaces that stand in it, so that unfolding gives it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from email.utils import format_datetime

from ...domain.email import Address, Content, Email, Recipient, RecipientKind
from ...domain.errors import UnbuildableError
from .contents import addr_spec_of, addressed, encoded, headers_of, mailbox_text

#: Our name for the email, for the relay's logs and for whoever reads the source.
EMAIL_ID_HEADER = "X-Postroom-Email-Id"

#: Headers of ours, and those that make an email look resent by somebody.
RESERVED_HEADERS = ("x-postroom-", "resent-")

#: Characters that a line should not exceed, and must not: RFC 5322 section 2.1.1.
FOLDED_LINE = 78
LONGEST_LINE = 998

#: Nothing of this stands in an address that is one, outside of quotes, which no address
#: here has (domain/address.py). Each could end it in a header or in an envelope.
_NOT_IN_ADDRESS = re.compile(r'[\s<>()\[\],;:\\"]')

_WORDS = re.compile(r" *[^ ]+")


def message_id_of(email: Email, content: Content) -> str:
    """Return our Message-ID: the same for every attempt, so that copies can be told."""
    domain = path_of(content.sender, field="from").rpartition("@")[2]
    return f"<{email.email_id}@{domain}>"


def path_of(mailbox: Address | Recipient, *, field: str) -> str:
    """Return the address as it stands between angle brackets.

    Raises:
        UnbuildableError: It is not one plain address, all ASCII.
    """
    path = addr_spec_of(mailbox, field=field)
    if _NOT_IN_ADDRESS.search(path) or not path.rpartition("@")[0]:
        raise UnbuildableError("an address is one plain local@domain", field=field)
    return path


def head_of(email: Email, content: Content) -> bytes:
    """Return all headers but those of MIME, each line ended.

    They name every recipient but the ``bcc``, also those that this attempt is not for:
    who gets the email later sees what the others saw.

    Raises:
        UnbuildableError: It cannot be said in headers.
    """
    return b"".join(
        _line(name, value, field=field)
        for name, value, field in _headers(email, content)
        if value
    )


def _headers(email: Email, content: Content) -> Iterator[tuple[str, str, str]]:
    # Of when it became due: a scheduled email has not travelled since it was written.
    since = email.redriven_at or email.first_due_at
    chosen = addressed(email, range(len(email.recipients)))
    yield "Date", format_datetime(since), "scheduled_at"
    yield "From", _mailboxes([content.sender], field="from"), "from"
    for name, kind in (("To", RecipientKind.TO), ("Cc", RecipientKind.CC)):
        yield name, _mailboxes(chosen[kind], field=kind.value), kind.value
    yield "Reply-To", _mailboxes(content.reply_to, field="reply_to"), "reply_to"
    yield "Subject", _text(content.subject, field="subject"), "subject"
    yield "Message-ID", message_id_of(email, content), "from"
    for name, value in headers_of(content, reserved=RESERVED_HEADERS).items():
        plain = value if value.isascii() else _encoded(value, field="headers")
        yield name, plain, "headers"
    yield EMAIL_ID_HEADER, email.email_id, "headers"


def _mailboxes(mailboxes: Iterable[Address | Recipient], *, field: str) -> str:
    texts = []
    for mailbox in mailboxes:
        path_of(mailbox, field=field)
        texts.append(mailbox_text(mailbox, field=field))
    return ", ".join(texts)


def _text(text: str, *, field: str) -> str:
    """Return words of a person: encoded where they would not arrive as they are."""
    longest = max(map(len, text.split(" ")))
    plain = text.isascii() and "=?" not in text and text == text.strip(" ")
    if plain and longest < LONGEST_LINE // 2:
        return text
    return _encoded(text, field=field)


def _encoded(text: str, *, field: str) -> str:
    try:
        return encoded(text)
    except UnicodeEncodeError as ex:
        raise UnbuildableError("the text is not Unicode", field=field) from ex


def _line(name: str, value: str, *, field: str) -> bytes:
    first, *words = _WORDS.findall(value) or [""]
    lines = [f"{name}: {first.lstrip(' ')}"]
    for word in words:
        if len(lines[-1]) + len(word) > FOLDED_LINE:
            lines.append(word)
        else:
            lines[-1] += word
    _check(lines, field=field)
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _check(lines: Sequence[str], *, field: str) -> None:
    if any(len(line) > LONGEST_LINE for line in lines):
        raise UnbuildableError(
            f"a word of a header may have {LONGEST_LINE} characters at most",
            field=field,
        )
