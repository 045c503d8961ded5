"""What the providers' modules share in building a request.

Everything here refuses with `UnbuildableError` what a provider could not carry as it is
meant, instead of letting it change the email in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.header import Header
from email.utils import formataddr

from ...domain.address import ascii_domain, format_address
from ...domain.email import (
    Address,
    Content,
    Email,
    Recipient,
    RecipientKind,
    Tag,
)
from ...domain.errors import InvalidAddressError, UnbuildableError

#: Our name for the email, as a field of the provider's that no recipient sees. It comes
#: back with every delivery event.
EMAIL_ID_FIELD = "postroom_email_id"

#: Headers that say who writes to whom or how the email is made up: they come from the
#: email's own fields, or from the provider.
OWN_HEADERS = frozenset(
    {
        *("from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date"),
        *("message-id", "received", "return-path", "dkim-signature"),
        *("mime-version", "content-type", "content-transfer-encoding"),
        *("content-disposition", "content-id"),
    },
)

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")

#: All of Unicode's categories Cc, Zl and Zp.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def content_of(email: Email) -> Content:
    """Return what is to be said: something, in one plain line of subject.

    Raises:
        UnbuildableError: There is no text and no HTML, or no content at all any more.
    """
    content = email.content
    if content is None or not (content.text or content.html):
        raise UnbuildableError("an email must have a text or an HTML", field="text")
    one_line(content.subject, field="subject")
    return content


def addressed(
    email: Email, positions: Sequence[int]
) -> Mapping[RecipientKind, tuple[Recipient, ...]]:
    """Return those recipients, by kind. An address that comes again is left out.

    The first kind wins in the order to, cc, bcc, so that nobody gets two copies and
    nobody who is named becomes hidden.

    Raises:
        UnbuildableError: None of them is a ``to``.
    """
    chosen: dict[RecipientKind, tuple[Recipient, ...]] = {}
    seen: set[str] = set()
    for kind in RecipientKind:
        chosen[kind] = ()
        for position in positions:
            recipient = email.recipients[position]
            if recipient.kind is kind and recipient.addr_spec.lower() not in seen:
                seen.add(recipient.addr_spec.lower())
                chosen[kind] = (*chosen[kind], recipient)
    if not chosen[RecipientKind.TO]:
        raise UnbuildableError("one recipient must be a to", field="to")
    return chosen


def addr_spec_of(mailbox: Address | Recipient, *, field: str) -> str:
    """Return the address as it stands in an envelope: all ASCII.

    Raises:
        UnbuildableError: It cannot be, as its local part is not ASCII.
    """
    one_line(mailbox.display_name, field=field)
    local_part, _, domain = mailbox.addr_spec.rpartition("@")
    if mailbox.addr_spec.isascii():
        return one_line(mailbox.addr_spec, field=field)
    if not local_part.isascii():
        raise UnbuildableError("only ASCII may stand before the @", field=field)
    try:
        return f"{local_part}@{ascii_domain(domain)}"
    except InvalidAddressError as ex:
        raise UnbuildableError(str(ex), field=field) from ex


def mailbox_text(mailbox: Address | Recipient, *, field: str) -> str:
    """Return the mailbox as RFC 5322 has it: quoted or encoded where it must be.

    Raises:
        UnbuildableError: It cannot be written so.
    """
    addr_spec = addr_spec_of(mailbox, field=field)
    name = mailbox.display_name
    if name.isascii() and name != " ".join(name.split()):
        # Outside of quotes several spaces are one: RFC 5322 section 3.2.5.
        return format_address(Address(addr_spec=addr_spec, display_name=name))
    if name.isascii() and "=?" not in name:
        return formataddr((name, addr_spec))
    try:
        # Also what only looks like an encoded word, or it would be decoded.
        name = encoded(name)
    except UnicodeEncodeError as ex:
        raise UnbuildableError("the name is not Unicode", field=field) from ex
    return f"{name} <{addr_spec}>"


def headers_of(content: Content, *, reserved: tuple[str, ...]) -> Mapping[str, str]:
    """Return the client's own headers.

    Args:
        content: What is to be said.
        reserved: How the names begin, in lower case, that tell the provider what to do.

    Raises:
        UnbuildableError: One of them is not the client's to set at this provider, or
            would be more than one header.
    """
    for name, value in content.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise UnbuildableError("a header's name is [A-Za-z0-9-]", field="headers")
        if name.lower() in OWN_HEADERS or name.lower().startswith(reserved):
            raise UnbuildableError(f"the header {name} is not free", field="headers")
        one_line(value, field="headers")
    return content.headers


def labels_of(content: Content, *, most: int, longest: int) -> Sequence[str]:
    """Return the tags as the labels that providers take: ``name:value``, each once.

    Both parts, as a value alone (``true``, ``42``) would say nothing in a report.

    Raises:
        UnbuildableError: They are too many, or one is too long or not ASCII.
    """
    labels = list(dict.fromkeys(_label(tag) for tag in content.tags))
    if len(labels) > most:
        raise UnbuildableError(f"there may be {most} tags at most", field="tags")
    for label in labels:
        if len(one_line(label, field="tags")) > longest or not label.isascii():
            raise UnbuildableError(
                f"a tag's name and value may be {longest - 1} ASCII characters at most",
                field="tags",
            )
    return labels


def encoded(text: str) -> str:
    """Return a header's text as encoded words of RFC 2047, on one line."""
    # 75 is the RFC's limit for one of them; Python's default makes them of 76.
    return Header(text, "utf-8", maxlinelen=75).encode(linesep="")


def one_line(text: str, *, field: str) -> str:
    """Return a text that has no control character in it.

    Raises:
        UnbuildableError: It has: a line break could become a second header.
    """
    if _CONTROLS.search(text):
        raise UnbuildableError("control characters are not carried", field=field)
    return text


def _label(tag: Tag) -> str:
    return f"{tag.name}:{tag.value}" if tag.value else tag.name
