"""An email as Resend's API takes it.

Sources: sending, tags, attachments
https://resend.com/docs/api-reference/emails/send-email
https://resend.com/docs/dashboard/emails/tags
https://resend.com/docs/dashboard/emails/attachments
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...domain.address import format_address
from ...domain.email import Address, Attachment, Content, Email, Recipient
from ...domain.errors import UnbuildableError
from .contents import (
    EMAIL_ID_FIELD,
    addr_spec_of,
    addressed,
    content_of,
    headers_of,
    one_line,
)

#: Headers that Resend takes orders from.
RESERVED_HEADERS = ("x-resend-", "resend-")

#: "You can add up to 75 tags per email": ours and the client's.
MAX_TAGS = 75

#: "ASCII letters, numbers, underscores, or dashes", in a tag's name and its value.
_TAG_PART = re.compile(r"[A-Za-z0-9_-]{1,256}")

#: A type that says nothing: without one Resend goes by the file's name.
_UNKNOWN_TYPE = "application/octet-stream"

#: Python's own list, without this machine's: what is refused is the same everywhere.
_TYPES = mimetypes.MimeTypes(filenames=())


def message_of(email: Email, recipients: Sequence[int]) -> bytes:
    """Return the body of one emails call.

    It is in one order, with nothing in it but the email: where Resend has seen the
    idempotency key before, it compares the body with the earlier one.

    Args:
        email: With its content.
        recipients: Positions of those that this attempt is for.

    Raises:
        UnbuildableError: Resend could not carry it as it is meant.
    """
    content = content_of(email)
    if not content.subject:
        raise UnbuildableError("Resend wants a subject", field="subject")
    message = {
        **_addresses(email, recipients),
        "subject": content.subject,
        **_texts(content),
        **_extras(content),
        "tags": list(_tags(content, email_id=email.email_id)),
    }
    try:
        return json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError as ex:
        raise UnbuildableError("the text is not Unicode", field="text") from ex


def _addresses(email: Email, recipients: Sequence[int]) -> Mapping[str, Any]:
    content = content_of(email)
    found: dict[str, Any] = {"from": _mailbox(content.sender, field="from")}
    for kind, chosen in addressed(email, recipients).items():
        if chosen:
            found[kind.value] = [_mailbox(one, field=kind.value) for one in chosen]
    if content.reply_to:
        found["reply_to"] = [
            _mailbox(given, field="reply_to") for given in content.reply_to
        ]
    return found


def _mailbox(mailbox: Address | Recipient, *, field: str) -> str:
    # Quoted, but not encoded: a From that is gets 451 "The email payload contain
    # invalid characters" (django-anymail, its backend of version 10.2).
    name = mailbox.display_name
    if "=?" in name:
        raise UnbuildableError("Resend takes no name that looks encoded", field=field)
    addr_spec = addr_spec_of(mailbox, field=field)
    return format_address(Address(addr_spec=addr_spec, display_name=name))


def _texts(content: Content) -> Mapping[str, str]:
    # "If not provided, the HTML will be used to generate a plain text version. You can
    # opt out of this behavior by setting value to an empty string."
    text = {"text": content.text or ""}
    return {**text, "html": content.html} if content.html else text


def _extras(content: Content) -> Mapping[str, Any]:
    headers = headers_of(content, reserved=RESERVED_HEADERS)
    extras = {
        "headers": dict(headers),
        "attachments": [_attachment(attached) for attached in content.attachments],
    }
    return {name: value for name, value in extras.items() if value}


def _tags(content: Content, *, email_id: str) -> Iterator[Mapping[str, str]]:
    """Give the client's tags, each once, and ours, which comes back with the events.

    Raises:
        UnbuildableError: They are not what Resend takes, or two have one name: its
            events show one value for each.
    """
    tags = dict.fromkeys((tag.name, tag.value) for tag in content.tags)
    names = {EMAIL_ID_FIELD} | {name for name, _ in tags}
    if len(names) != len(tags) + 1:
        raise UnbuildableError("each tag's name may stand there once", field="tags")
    if len(names) > MAX_TAGS:
        raise UnbuildableError(
            f"there may be {MAX_TAGS - 1} tags at most", field="tags"
        )
    for name, value in tags:
        named = {"name": _tag_part(name)}
        yield {**named, "value": _tag_part(value)} if value else named
    yield {"name": EMAIL_ID_FIELD, "value": email_id}


def _tag_part(text: str) -> str:
    if not _TAG_PART.fullmatch(text):
        raise UnbuildableError(
            "a tag's parts are 1 to 256 ASCII letters, digits, _ and -", field="tags"
        )
    return text


def _attachment(attached: Attachment) -> Mapping[str, str]:
    filename = one_line(attached.filename, field="attachments")
    content_type = one_line(attached.content_type, field="attachments")
    if not _agree(filename, content_type):
        # Resend would take it and then never send it, without a word (django-anymail
        # issue 440).
        raise UnbuildableError(
            "a file's name must end as its type wants it", field="attachments"
        )
    found = {
        "filename": filename,
        "content": base64.b64encode(attached.content).decode("ascii"),
    }
    if not _says_nothing(content_type):
        found["content_type"] = content_type
    if attached.content_id is not None:
        found["content_id"] = one_line(attached.content_id, field="attachments")
    return found


def _agree(filename: str, content_type: str) -> bool:
    """Return whether a file is what its name says, or its name says nothing."""
    if not filename or _says_nothing(content_type):
        return bool(filename)
    guess, encoding = _TYPES.guess_type(filename)
    # By what follows the slash: application/xml and text/xml are one.
    return not guess or bool(encoding) or _subtype(guess) == _subtype(content_type)


def _says_nothing(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _UNKNOWN_TYPE


def _subtype(content_type: str) -> str:
    return content_type.partition(";")[0].partition("/")[2].strip().lower()
