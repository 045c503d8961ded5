"""The largest bodies of each form, as the bytes that go over the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

from postroom.http.options import Limits
from tests.web.stand import a_body

_LIMITS = Limits()

#: What subject, addresses and names take of either limit, generously.
_REST = 4096


def base64_attachment() -> bytes:
    """Give a file as base64, of nearly as many bytes as an email may have."""
    content = base64.b64encode(bytes(_LIMITS.mail_bytes - _REST)).decode()
    return _with_file(content)


def array_attachment() -> bytes:
    """Give a file as an array of numbers of one digit: the most that fit a body."""
    count = (_LIMITS.body_bytes - _REST) // 2
    return _with_file([0] * count)


def plain_html() -> bytes:
    return _with_html("x" * (_LIMITS.mail_bytes - _REST))


def wide_html() -> bytes:
    """Give HTML of which one character makes Python store all others in four bytes."""
    return _with_html("\U0001f600" + "x" * (_LIMITS.mail_bytes - _REST))


def many_arrays() -> bytes:
    """Give the cheapest way to make a parser build much: refused, but not unread."""
    return b'{"to":[' + b"[]," * ((_LIMITS.body_bytes - 20) // 3) + b"[]]}"


def many_strings() -> bytes:
    """Give strings too short to be shared, each an object of 50 bytes or more."""
    return b'{"to":[' + b'"ab",' * ((_LIMITS.body_bytes - 20) // 5) + b'""]}'


def many_names() -> bytes:
    names = b",".join(
        b'"%07x":0' % number for number in range((_LIMITS.body_bytes - 20) // 12)
    )
    return b"{" + names + b"}"


#: What is accepted, and what is not but has to be looked at.
FORMS: Mapping[str, Callable[[], bytes]] = {
    "file in base64": base64_attachment,
    "file as numbers": array_attachment,
    "HTML": plain_html,
    "HTML with an emoji": wide_html,
    "refused: arrays": many_arrays,
    "refused: strings": many_strings,
    "refused: names": many_names,
}


def _with_file(content: object) -> bytes:
    body = a_body(attachments=[{"filename": "a.bin", "content": content}])
    return json.dumps(body, separators=(",", ":")).encode()


def _with_html(html: str) -> bytes:
    return json.dumps(a_body(html=html), ensure_ascii=False).encode()
