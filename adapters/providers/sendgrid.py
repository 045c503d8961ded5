"""SendGrid, by its v3 API.

Sources: the mail/send reference, its errors and its limitations
https://www.twilio.com/docs/sendgrid/api-reference/mail-send
https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors
https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
https://support.sendgrid.com/hc/en-us/articles/18322114821403
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ...domain.email import Address, Attachment, Content, Email, Recipient
from ...domain.errors import UnbuildableError
from ...domain.outcome import Accepted, Outcome, RefusalKind, Unknown
from ...domain.ports import Built
from ...domain.routing import ProviderProfile
from ..failpoints import Around, nothing_around
from ..settings_providers import SendgridSettings
from .answers import Row, json_object, message_id, plain_text, refusal, scrub
from .contents import (
    EMAIL_ID_FIELD,
    addr_spec_of,
    addressed,
    content_of,
    encoded,
    headers_of,
    labels_of,
    one_line,
)
from .transport import Answer, Request, Transport

#: What an answer of SendGrid's (a JSON object that names errors) or with a status that
#: says enough by itself means. 503 is "The SendGrid v3 Web API is not available", which
#: does not say that this email was not taken; nor does 500.
TABLE = (
    Row(status=400, kind=RefusalKind.SENDER, says=("verified sender identity",)),
    Row(status=400, kind=RefusalKind.PERMANENT),
    # "The provided authorization grant is invalid", "Maximum credits exceeded". Whoever
    # says so, in whatever form, says it to every email.
    Row(status=401, kind=RefusalKind.ACCOUNT, own=False),
    Row(status=402, kind=RefusalKind.ACCOUNT, own=False),
    Row(status=403, kind=RefusalKind.SENDER, says=("verified sender identity",)),
    Row(
        status=403,
        kind=RefusalKind.ACCOUNT,
        says=("access forbidden", "too many bad requests", "temporary block"),
    ),
    # The URL in the settings leads to SendGrid, but not to this call.
    Row(status=404, kind=RefusalKind.ACCOUNT),
    Row(status=405, kind=RefusalKind.ACCOUNT),
    # Comes as a page of the nginx in front (sendgrid-nodejs issue 370).
    Row(status=413, kind=RefusalKind.PERMANENT, own=False),
    Row(status=429, kind=RefusalKind.TRANSIENT, own=False, throttled=True),
    # "Unavailable due to data residency restrictions": the other region's URL.
    Row(status=451, kind=RefusalKind.ACCOUNT),
    Row(status=500, kind=RefusalKind.TRANSIENT, certain=False, own=False),
    Row(status=503, kind=RefusalKind.TRANSIENT, certain=False, own=False),
)

#: Headers that SendGrid sets itself or takes orders from.
RESERVED_HEADERS = ("x-sg-", "x-smtpapi")

#: Of an email, decoded: 30 MB are allowed for all of it, where base64 makes four bytes
#: of three and adds line ends.
MAX_SIZE_BYTES = 20 * 1024 * 1024

MAX_RECIPIENTS = 1000
MAX_CATEGORIES = 10
MAX_CATEGORY = 255


class SendgridProvider:
    """One account at SendGrid."""

    def __init__(
        self,
        settings: SendgridSettings,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        around: Around = nothing_around,
    ) -> None:
        """Prepare the account; see `Transport` for the arguments."""
        key = settings.api_key.reveal()
        self._hidden = (key,)
        self._transport = Transport(
            settings.api_url,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            proxy=proxy,
            tls=tls,
            around=around,
        )
        self.profile = ProviderProfile(
            name=settings.name,
            kind="sendgrid",
            max_size_bytes=MAX_SIZE_BYTES,
            max_recipients=MAX_RECIPIENTS,
        )

    def build(
        self,
        email: Email,
        *,
        recipients: Sequence[int],
        key: str | None = None,  # noqa: ARG002  # SendGrid knows no such keys
    ) -> Built:
        """Make the JSON of one mail/send call."""
        content = content_of(email)
        if not content.subject:
            raise UnbuildableError("SendGrid wants a subject", field="subject")
        body = {
            "personalizations": [_personalization(email, recipients)],
            "from": _mailbox(content.sender, field="from"),
            **_reply_to(content),
            "subject": content.subject,
            "content": _contents(content),
            **_extras(content),
            "custom_args": {EMAIL_ID_FIELD: email.email_id},
        }
        try:
            made = json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as ex:
            raise UnbuildableError("the text is not Unicode", field="text") from ex
        request = Request(
            path="/v3/mail/send", content_type="application/json", body=made
        )
        return Built(provider=self.profile.name, request=request)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        """Make the call."""
        answer = self._transport.post(built.request, timeout=timeout)
        return self._read(answer) if isinstance(answer, Answer) else answer

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _read(self, answer: Answer) -> Outcome:
        if answer.status != 202:
            return refusal(
                answer,
                TABLE,
                words=_words(answer),
                provider=self.profile.name,
                hidden=self._hidden,
            )
        name = message_id(answer.headers.get("X-Message-Id"))
        if name is None and answer.body.strip():
            # SendGrid's 202 is empty: this page is somebody else's.
            said = scrub(answer.body.decode(errors="replace"), hidden=self._hidden)
            return Unknown(cause="garbage", detail=said)
        return Accepted(provider_message_id=name)


def _personalization(
    email: Email, recipients: Sequence[int]
) -> Mapping[str, list[dict[str, str]]]:
    # One block, as each block is an email of its own. SendGrid refuses an address that
    # stands in it twice.
    return {
        kind.value: [_mailbox(recipient, field=kind.value) for recipient in chosen]
        for kind, chosen in addressed(email, recipients).items()
        if chosen
    }


def _mailbox(mailbox: Address | Recipient, *, field: str) -> dict[str, str]:
    found = {"email": addr_spec_of(mailbox, field=field)}
    name = mailbox.display_name
    if name and isinstance(mailbox, Recipient) and ("," in name or ";" in name):
        # SendGrid does not quote a recipient's name by itself, so that a comma would
        # end it: "cannot include either the ; or , characters" (limitations;
        # sendgrid-python issue 291). It does for from and reply_to.
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return {**found, "name": name} if name else found


def _reply_to(content: Content) -> Mapping[str, Any]:
    mailboxes = [_mailbox(address, field="reply_to") for address in content.reply_to]
    if len(mailboxes) > 1:
        return {"reply_to_list": mailboxes}
    return {"reply_to": mailboxes[0]} if mailboxes else {}


def _contents(content: Content) -> list[dict[str, str]]:
    # The plain one must come first, and an empty one is refused.
    parts = (("text/plain", content.text), ("text/html", content.html))
    return [{"type": kind, "value": value} for kind, value in parts if value]


def _extras(content: Content) -> Mapping[str, Any]:
    headers = headers_of(content, reserved=RESERVED_HEADERS)
    extras = {
        # SendGrid passes a value on as it is.
        "headers": {
            name: value if value.isascii() else encoded(value)
            for name, value in headers.items()
        },
        "categories": labels_of(content, most=MAX_CATEGORIES, longest=MAX_CATEGORY),
        "attachments": [_attachment(attached) for attached in content.attachments],
    }
    return {name: value for name, value in extras.items() if value}


def _attachment(attached: Attachment) -> Mapping[str, str]:
    # "The attachment type cannot contain ;, or CRLF characters": no parameters.
    content_type = attached.content_type.partition(";")[0].strip()
    found = {
        "content": base64.b64encode(attached.content).decode("ascii"),
        "type": one_line(content_type, field="attachments"),
        "filename": one_line(attached.filename, field="attachments"),
        "disposition": "attachment",
    }
    if attached.content_id is None:
        return found
    content_id = one_line(attached.content_id, field="attachments")
    return {**found, "disposition": "inline", "content_id": content_id}


def _words(answer: Answer) -> str | None:
    """Return what SendGrid says, or ``None`` if it is not SendGrid who speaks."""
    said = json_object(answer) or {}
    errors = said.get("errors") or said.get("error") or said.get("message")
    if isinstance(errors, str):
        return errors
    if not isinstance(errors, list) or not errors:
        return plain_text(answer)
    return "; ".join(_error(error) for error in errors)


def _error(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    field = error.get("field")
    return f"{field}: {error.get('message')}" if field else str(error.get("message"))
