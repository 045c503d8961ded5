"""Strings that break things, and bodies of emails that are made of them."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from tests.web.stand import a_body

#: What may stand in no line: line ends, controls, separators, turns of direction.
FORBIDDEN = [
    *("\r\n", "\n", "\r", "\0", "\v", "\f", "\x1b", "\x7f", "\x85", "\x9f"),
    *("\u2028", "\u2029", "\r\nBcc: eve@evil.example", "\n\nhidden", "\x1a", "\x08"),
]

#: What is allowed in most places, and looks like something else in many.
SUSPECT = [
    *("@", "<", ">", '"', "\\", ",", ";", ":", "(", ")", "[", "]", "'", "`", "|"),
    *("=?utf-8?q?Bcc=3A_eve?=", "=?", "?=", "%0d%0aBcc:", "Bcc: eve@evil.example"),
    *("eve@evil.example", "a@b.example, eve@evil.example", "%", "!", "..", "--"),
    *(" ", "  ", "\xa0", "\u3000", "\u202e", "\u2066", "\u200d", "\ufeff", "\xad"),
    *("ä", "e\u0301", "漢字", "😀", "\u0130", "ß", "\uff0e", "\uff20", "\uff0c"),
    *("xn--", "{}", "%s", "${x}", "{{x}}", "../", "cid:", "&lt;", "null", ".", "="),
    *("x" * 78, "word " * 20, "ä" * 40),
]


def _joined(parts: list[str]) -> st.SearchStrategy[str]:
    piece = st.sampled_from(parts) | st.characters(
        codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")
    )
    return st.lists(piece, max_size=7).map("".join)


#: Mostly without what is refused everywhere, so that much of it is accepted.
STRING = st.one_of(
    _joined(SUSPECT), _joined(SUSPECT), _joined(SUSPECT + FORBIDDEN), st.text()
)

WORD = st.from_regex(r"\A[A-Za-z0-9-]{1,20}\Z")


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


ADDRESS = st.one_of(
    STRING.map(lambda name: f"{name} <ada@example.com>"),
    STRING.map(lambda name: f'"{_quoted(name)}" <ada@example.com>'),
    STRING.map(lambda name: f'"{name}" <ada@example.com>'),
    STRING.map(lambda local: f"{local}@example.com"),
    STRING.map(lambda label: f"ada@{label}.example"),
    STRING,
    st.sampled_from(
        [
            "<@relay.example:ada@example.com>",
            "ada@example.com(eve@evil.example)",
            '"ada@evil.example"@example.com',
            "ada%evil.example@example.com",
            "evil.example!ada@example.com",
            "friends: ada@example.com, bob@example.com;",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@\uff45\uff58ample.com",
            "=?utf-8?q?ada=40evil.example=2C?= <ada@example.com>",
            "ada@example.com> <eve@evil.example",
            "ada@example.com\0",
        ]
    ),
)

BAD_NAME = st.one_of(
    STRING.map(lambda name: f"X-{name}"),
    STRING,
    st.sampled_from(
        [
            "Bcc",
            "bCC",
            "From",
            "Sender",
            "Content-Type",
            "X-SMTPAPI",
            "List-Unsubscribe",
        ]
    ),
)

#: One in eight is one of these: an email of several headers is to pass at times.
HEADER_NAME = st.integers(0, 7).flatmap(
    lambda number: BAD_NAME if number == 0 else WORD.map(lambda w: f"X-{w}")
)

MEDIA_TYPE = st.one_of(
    st.sampled_from(
        [
            *("text/plain", "text/plain; charset=utf-8", "application/pdf"),
            *('image/png; name="a b.png"', "message/rfc822", "multipart/mixed"),
            "application/octet-stream",
        ]
    ),
    STRING,
)

FILE = st.fixed_dictionaries(
    {
        "filename": st.one_of(STRING, STRING.map(lambda name: f"{name}.txt")),
        "content": st.binary(min_size=1, max_size=200).map(
            lambda content: base64.b64encode(content).decode()
        ),
    },
    optional={"content_type": MEDIA_TYPE, "content_id": STRING | WORD},
)

TAG = st.fixed_dictionaries({"name": WORD | STRING}, optional={"value": WORD | STRING})

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "from": ADDRESS,
    "to": ADDRESS | st.lists(ADDRESS, min_size=1, max_size=3),
    "cc": ADDRESS | st.lists(ADDRESS, max_size=2),
    "bcc": ADDRESS | st.lists(ADDRESS, max_size=2),
    "reply_to": ADDRESS | st.lists(ADDRESS, max_size=2),
    "subject": STRING,
    "text": STRING,
    "html": STRING,
    "headers": st.dictionaries(HEADER_NAME, STRING, max_size=3),
    "attachments": st.lists(FILE, max_size=2),
    "tags": st.lists(TAG, max_size=2),
    "metadata": st.dictionaries(STRING, STRING, max_size=2),
}


@st.composite
def bodies(
    draw: st.DrawFn, *, fields: tuple[str, ...] = ()
) -> tuple[dict[str, Any], set[str]]:
    """Draw a body of which some fields are nasty, and the names of these."""
    some = st.sets(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3)
    chosen = set(fields) or draw(some)
    nasty = {field: draw(FIELDS[field]) for field in sorted(chosen)}
    return a_body(**nasty), chosen
