"""The inbox of the sandbox: a page that no email can turn against its reader."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from postroom.http.options import Options
from tests.web.stand import Stand

ATTACK = """"'></iframe></pre><script>alert(1)</script><img src=x onerror=alert(1)>"""


def an_email(**fields: Any) -> dict[str, Any]:
    return {
        "email_id": "a" * 24,
        "from": "hello@acme.example",
        "recipients": ["ada@example.com"],
        "subject": "Hi",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "at": "2030-01-31",
        "provider": "sandbox",
    } | fields


class Reader(HTMLParser):
    """Lists the elements as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.fixture
def sandbox() -> Stand:
    return Stand(options=Options(development=True))


def elements(stand: Stand) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(stand.get("/sandbox").text)
    return reader.elements


def test_emails_are_shown_in_the_order_of_the_inbox(sandbox: Stand) -> None:
    sandbox.inbox.emails = [an_email(subject="second"), an_email(subject="first")]

    assert re.findall(r"<h2>(.*?)</h2>", sandbox.get("/sandbox").text) == [
        "second",
        "first",
    ]


def test_an_empty_inbox_says_so(sandbox: Stand) -> None:
    assert "Nothing yet" in sandbox.get("/sandbox").text


def test_what_an_email_says_adds_no_element_to_the_page(sandbox: Stand) -> None:
    sandbox.inbox.emails = [an_email()]
    plain = [tag for tag, _ in elements(sandbox)]

    sandbox.inbox.emails = [
        dict.fromkeys(an_email(), ATTACK) | {"recipients": [ATTACK]}
    ]

    assert [tag for tag, _ in elements(sandbox)] == plain


def test_html_is_shown_in_a_frame_without_any_right(sandbox: Stand) -> None:
    sandbox.inbox.emails = [an_email(html=ATTACK)]

    frames = [attributes for tag, attributes in elements(sandbox) if tag == "iframe"]

    assert [frame["sandbox"] for frame in frames] == [""]
    assert [frame["srcdoc"] for frame in frames] == [ATTACK]
    assert "src" not in frames[0]


def test_the_pages_policy_admits_no_script_and_no_picture(sandbox: Stand) -> None:
    policy = sandbox.get("/sandbox").headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "script-src" not in policy
    assert "img-src" not in policy


def test_absent_parts_are_left_out(sandbox: Stand) -> None:
    sandbox.inbox.emails = [an_email(html=None, text=None), {"subject": "$at {x}"}]

    page = sandbox.get("/sandbox")

    assert page.status_code == 200
    assert "None" not in page.text
    assert "$at {x}" in page.text


def test_outside_development_there_is_no_such_page(stand: Stand) -> None:
    assert stand.get("/sandbox").status_code == 404
