"""The rules for single values of a request: linear time, and messages without values.

Each function returns what it was given, made ready, or raises `PydanticCustomError`
with a `FaultCode` as its type, which `schemas.py` turns into a fault of that field.
"""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from ..domain.address import parse_address
from ..domain.email import Address
from ..domain.errors import InvalidAddressError
from .faults import FaultCode

#: C0, DEL, C1, the line and paragraph separators, surrogates.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: Bodies have lines and tabs; text pasted from word processors has separators.
_NOT_IN_A_BODY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")

_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")

#: Headers that say who an email is from, for or what it is made of: the fields of the
#: request decide these. Then headers by which providers take orders.
_RESERVED_HEADERS = frozenset(
    {
        "apparently-to",
        "authentication-results",
        "bcc",
        "cc",
        "date",
        "delivered-to",
        "dkim-signature",
        "domainkey-signature",
        "envelope-to",
        "from",
        "message-id",
        "mime-version",
        "received",
        "received-spf",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-smtpapi",
        "x-msys-api",
    },
)

_RESERVED_PREFIXES = (
    "arc-",
    "content-",
    "resent-",
    "x-amz-",
    "x-envelope-",
    "x-mailgun-",
    "x-mailin-",
    "x-mandrill-",
    "x-mc-",
    "x-mj-",
    "x-pm-",
    "x-postmark-",
    "x-postroom-",
    "x-resend-",
    "x-ses-",
    "x-sg-",
    "x-sib-",
)


def fault(code: FaultCode, message: str) -> PydanticCustomError:
    """Return the exception that makes pydantic report this fault.

    Braces are pydantic's placeholders in a message, so there are none in ours.
    """
    template = message.replace("{", "(").replace("}", ")")
    return PydanticCustomError(code.value, template)


def text_line(text: str) -> str:
    """Accept text that stays on one line."""
    if found := _NOT_IN_A_LINE.search(text):
        raise fault(
            FaultCode.CONTROL_CHARACTER,
            f"must be one line without control characters, got U+{ord(found[0]):04X}",
        )
    return text


def text_body(text: str) -> str:
    """Accept text of many lines."""
    if found := _NOT_IN_A_BODY.search(text):
        raise fault(
            FaultCode.CONTROL_CHARACTER,
            "must not hold control characters but line ends and tabs, "
            f"got U+{ord(found[0]):04X}",
        )
    return text


def at_most(text: str, limit: int) -> str:
    """Accept text of so many characters."""
    if len(text) > limit:
        raise fault(
            FaultCode.TOO_LONG,
            f"must be at most {limit} characters long, got {len(text)}",
        )
    return text


def not_blank(text: str) -> str:
    """Accept text that shows something."""
    if not text.strip():
        raise fault(FaultCode.EMPTY, "must not be empty")
    return text


def mailbox(value: object) -> Address:
    """Read one address."""
    if not isinstance(value, str):
        raise fault(
            FaultCode.WRONG_TYPE,
            "must be one address as a string, `Name <local@domain>` or bare",
        )
    try:
        return parse_address(value)
    except InvalidAddressError as ex:
        raise fault(FaultCode.INVALID_ADDRESS, str(ex)) from ex


def header_name(name: str) -> str:
    """Accept the name of a header that is the client's to set."""
    if not _HEADER_NAME.fullmatch(name):
        raise fault(
            FaultCode.INVALID_NAME,
            "a header's name must be 1 to 64 letters, digits and hyphens",
        )
    lower = name.lower()
    if lower in _RESERVED_HEADERS or lower.startswith(_RESERVED_PREFIXES):
        raise fault(
            FaultCode.RESERVED_HEADER,
            "this header is set by Postroom or the provider; use the field of the "
            "request where there is one",
        )
    return name


def header_value(text: str) -> str:
    """Accept the value of a header: words that arrive as they are.

    Spaces around a value belong to no header, so that not every provider would carry
    them, and an empty one is left out on the way.
    """
    not_blank(text)
    if text != text.strip(" "):
        raise fault(
            FaultCode.INVALID_CONTENT,
            "a header's value must not begin or end with a space",
        )
    return text


def distinct_headers(headers: dict[str, str]) -> dict[str, str]:
    """Accept headers of which no two differ in case only."""
    if len({name.lower() for name in headers}) < len(headers):
        raise fault(
            FaultCode.DUPLICATE,
            "two headers differ in upper and lower case only: they are the same",
        )
    return headers


def tag_part(text: str) -> str:
    """Accept the name or the value of a tag."""
    if not _TAG.fullmatch(text):
        raise fault(
            FaultCode.INVALID_NAME,
            "must be 1 to 256 ASCII letters, digits, underscores and hyphens",
        )
    return text
