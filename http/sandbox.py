"""The sandbox's inbox as a plain page, in development only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Protocol

import falcon

#: Most emails on the page.
_SHOWN = 50

#: No script, no picture, nothing from elsewhere, and the frames inherit it: an email
#: cannot call home. Styles may be inline, as they are in emails.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

_TEMPLATES = Path(__file__).parent / "templates"


class Inbox(Protocol):
    """What the sandbox provider has "sent"."""

    def latest(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the newest emails, newest first.

        Each has ``email_id``, ``from``, ``recipients``, ``subject``, ``text``,
        ``html``, ``at`` and ``provider``.
        """
        ...


class SandboxPage:
    """`GET /sandbox`."""

    is_open = True

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._page = Template((_TEMPLATES / "sandbox.html").read_text("utf-8"))
        self._email = Template((_TEMPLATES / "sandbox_email.html").read_text("utf-8"))

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Show what the sandbox sent, newest first."""
        emails = [self._shown(email) for email in self._inbox.latest(_SHOWN)]

        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.text = self._page.substitute(
            count=len(emails),
            emails="\n".join(emails) or "<p>Nothing yet: send an email.</p>",
        )

    def _shown(self, email: Mapping[str, Any]) -> str:
        recipients = email.get("recipients") or ()
        values = {
            "email_id": email.get("email_id"),
            "sender": email.get("from"),
            "recipients": ", ".join(str(one) for one in recipients),
            "subject": email.get("subject"),
            "text": email.get("text"),
            "at": email.get("at"),
            "provider": email.get("provider"),
            "html": email.get("html"),
        }
        # In text and in a quoted attribute alike; the attribute's value is what the
        # frame, which has no rights, then reads as HTML.
        return self._email.substitute(
            {
                name: escape("" if value is None else str(value), quote=True)
                for name, value in values.items()
            },
            html_hidden="" if email.get("html") else "hidden",
            text_hidden="" if email.get("text") else "hidden",
        )
