"""The rules for attached files: decoded once, in linear time, without surprises."""

from __future__ import annotations

import binascii
import mimetypes
import re
from typing import Any

from .checks import at_most, fault, not_blank, text_line
from .faults import FaultCode

#: They reorder what a reader sees: `invoice_fdp.exe` looks like `invoice_exe.pdf`.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")

#: The first two leave the folder where the file is saved. A quote ends the name in a
#: header, and each provider writes it down in another way.
_NOT_IN_A_NAME = frozenset('/\\"')

_CONTENT_ID = re.compile(r"[A-Za-z0-9._@+-]{1,128}")

#: RFC 6838 section 4.2, then at most a few parameters; no part can match two ways.
_CONTENT_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
    r'(?:; ?[A-Za-z0-9-]{1,32}=(?:[A-Za-z0-9!#$&^_.+-]{1,64}|"[A-Za-z0-9 .:_-]{0,64}"))'
    r"{0,4}",
)

_WHITESPACE = str.maketrans("", "", " \t\r\n")


def file_name(text: str) -> str:
    """Accept the name of a file that stays in the folder where it is saved."""
    text_line(at_most(not_blank(text), 255))
    if not _NOT_IN_A_NAME.isdisjoint(text):
        raise fault(
            FaultCode.INVALID_NAME, "must be a name without / and \\ and quotes"
        )
    if text != text.strip():
        raise fault(FaultCode.INVALID_NAME, "must not begin or end with a space")
    if _BIDI_CONTROLS.search(text):
        raise fault(
            FaultCode.CONTROL_CHARACTER,
            "must not hold characters that turn the direction of text",
        )
    return text


def file_content(value: object) -> bytes:
    """Decode a file: base64, byte values, or Node's JSON form of a Buffer."""
    match value:
        case {"type": "Buffer", "data": list(data), **others} if not others:
            content = _byte_values(data)
        case str():
            content = _base64(value)
        case list():
            content = _byte_values(value)
        case _:
            raise fault(
                FaultCode.WRONG_TYPE,
                "must be a base64 string or an array of byte values",
            )
    if not content:
        raise fault(FaultCode.EMPTY, "must not be empty: providers refuse such files")
    return content


def decoded_size(value: object) -> int:
    """Return how large a file is, in bytes, without decoding it."""
    if isinstance(value, dict):
        value = value.get("data")
    if isinstance(value, list):
        return len(value)
    if not isinstance(value, str):
        return 0
    digits = value.translate(_WHITESPACE)
    return len(digits.rstrip("=")) * 3 // 4


def _base64(text: str) -> bytes:
    """Decode base64 of RFC 4648 section 4; line breaks are those of MIME."""
    try:
        return binascii.a2b_base64(text.translate(_WHITESPACE), strict_mode=True)
    except ValueError as ex:
        raise fault(
            FaultCode.INVALID_CONTENT,
            "must be base64 (RFC 4648 section 4, with its padding)",
        ) from ex


def _byte_values(values: list[Any]) -> bytes:
    try:
        # True is 1 to Python, and no byte of a file.
        content = None if bool in set(map(type, values)) else bytes(values)
    except (TypeError, ValueError, OverflowError):
        content = None
    if content is None:
        raise fault(
            FaultCode.INVALID_CONTENT,
            "an array must hold whole numbers from 0 to 255",
        )
    return content


def content_type(text: str) -> str:
    """Accept a media type."""
    if not _CONTENT_TYPE.fullmatch(text):
        raise fault(
            FaultCode.INVALID_CONTENT,
            "must be a media type such as application/pdf",
        )
    return text


def guessed_type(filename: str) -> str:
    """Return the media type that a file's name suggests."""
    guess, encoding = mimetypes.guess_type(filename)
    # `a.tar.gz` is gzip on the outside; naming the tar inside would mislead.
    return guess if guess and not encoding else "application/octet-stream"


def content_id(text: str) -> str:
    """Accept the name by which HTML refers to an inline file (``cid:``)."""
    text = text.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(text):
        raise fault(
            FaultCode.INVALID_NAME,
            "must be 1 to 128 letters, digits and any of . _ @ + -",
        )
    return text
