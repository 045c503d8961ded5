"""Mailgun, by its v3 API, in the US or the EU by the URL in the settings.

Sources: sending, its response codes, tags
https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses
https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-http
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from urllib.parse import quote

from urllib3 import encode_multipart_formdata, make_headers
from urllib3.fields import RequestField

from ...domain.email import Attachment, Content, Email
from ...domain.errors import UnbuildableError
from ...domain.outcome import Accepted, Outcome, RefusalKind, Unknown
from ...domain.ports import Built
from ...domain.routing import ProviderProfile
from ..failpoints import Around, nothing_around
from ..settings_providers import MailgunSettings
from .answers import Row, json_object, message_id, plain_text, refusal, scrub
from .contents import (
    EMAIL_ID_FIELD,
    addressed,
    content_of,
    headers_of,
    labels_of,
    mailbox_text,
    one_line,
)
from .transport import Answer, Request, Transport

#: "Domain ... is not allowed to send from ...": another From may be.
_FROM = ("not allowed to send from",)

#: A sandbox domain or a trial carries mail to authorized recipients alone, which says
#: nothing of the next email: another provider may have this one.
_TRIAL = ("authorized recipients", "test purposes only")

#: What an answer of Mailgun's (a JSON object with `message`, or a bare word) or with a
#: status that says enough by itself means. Of 500 it says that retries are recommended,
#: not that the email was not taken; 503 is not in its list.
TABLE = (
    Row(status=400, kind=RefusalKind.SENDER, says=_FROM + _TRIAL),
    Row(status=400, kind=RefusalKind.ACCOUNT, says=("is not allowed to send",)),
    Row(status=400, kind=RefusalKind.PERMANENT),
    Row(status=401, kind=RefusalKind.SENDER, says=_FROM + _TRIAL),
    # Whoever says so, in whatever form, says it to every email.
    Row(status=401, kind=RefusalKind.ACCOUNT, own=False),
    Row(status=402, kind=RefusalKind.ACCOUNT, own=False),
    Row(status=403, kind=RefusalKind.SENDER, says=_FROM + _TRIAL),
    # "Auth error or access denied"; also domains and accounts that are not active yet.
    Row(status=403, kind=RefusalKind.ACCOUNT),
    # The domain of the settings, so every email.
    Row(status=404, kind=RefusalKind.ACCOUNT, says=("domain not found",)),
    # "This one can be temporal as our system is an eventually-consistent system"
    Row(status=404, kind=RefusalKind.TRANSIENT),
    Row(status=413, kind=RefusalKind.PERMANENT, own=False),
    Row(status=429, kind=RefusalKind.TRANSIENT, own=False, throttled=True),
    Row(status=500, kind=RefusalKind.TRANSIENT, certain=False, own=False),
    Row(status=503, kind=RefusalKind.TRANSIENT, certain=False, own=False),
)

#: Of an email, decoded: 25 MB are allowed for all of it, where base64 makes four bytes
#: of three and adds line ends.
MAX_SIZE_BYTES = 17 * 1024 * 1024

MAX_RECIPIENTS = 1000
MAX_TAGS = 10
MAX_TAG = 128

#: Headers that Mailgun takes orders from.
RESERVED_HEADERS = ("x-mailgun-",)

#: What a form is made of, beside files: a name and a text.
Field = tuple[str, str]


class MailgunProvider:
    """One sending domain at Mailgun."""

    def __init__(
        self,
        settings: MailgunSettings,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        around: Around = nothing_around,
    ) -> None:
        """Prepare the account; see `Transport` for the arguments."""
        key = settings.api_key.reveal()
        headers = dict(make_headers(basic_auth=f"api:{key}"))
        self._hidden = (key, headers["authorization"].removeprefix("Basic "))
        self._path = f"/v3/{quote(settings.domain, safe='')}/messages"
        self._transport = Transport(
            settings.api_url,
            headers={**headers, "Accept": "application/json"},
            proxy=proxy,
            tls=tls,
            around=around,
        )
        self.profile = ProviderProfile(
            name=settings.name,
            kind="mailgun",
            max_size_bytes=MAX_SIZE_BYTES,
            max_recipients=MAX_RECIPIENTS,
        )

    def build(
        self,
        email: Email,
        *,
        recipients: Sequence[int],
        key: str | None = None,  # noqa: ARG002  # Mailgun knows no such keys
    ) -> Built:
        """Make the form of one messages call."""
        content = content_of(email)
        fields = [*_addresses(email, recipients), *_fields(email.email_id, content)]
        parts = [RequestField.from_tuples(name, value) for name, value in fields]
        files = [_file(attached) for attached in content.attachments]
        try:
            # In parts also without files: that costs a quarter of the urlencoded form.
            body, content_type = encode_multipart_formdata([*parts, *files])
        except UnicodeEncodeError as ex:
            raise UnbuildableError("the text is not Unicode", field="text") from ex
        request = Request(path=self._path, content_type=content_type, body=body)
        return Built(provider=self.profile.name, request=request)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        """Make the call."""
        answer = self._transport.post(built.request, timeout=timeout)
        return self._read(answer) if isinstance(answer, Answer) else answer

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _read(self, answer: Answer) -> Outcome:
        if answer.status != 200:
            return refusal(
                answer,
                TABLE,
                words=_words(answer),
                provider=self.profile.name,
                hidden=self._hidden,
            )
        name = message_id((json_object(answer) or {}).get("id"))
        if name is None:
            # A wrong path is answered with 200 "Mailgun Magnificent API".
            said = scrub(answer.body.decode(errors="replace"), hidden=self._hidden)
            return Unknown(cause="garbage", detail=said)
        # Its delivery events name the email without the brackets.
        return Accepted(provider_message_id=name.strip("<>") or None)


def _addresses(email: Email, recipients: Sequence[int]) -> Iterator[Field]:
    content = content_of(email)
    yield "from", mailbox_text(content.sender, field="from")
    for kind, chosen in addressed(email, recipients).items():
        for recipient in chosen:
            yield kind.value, mailbox_text(recipient, field=kind.value)
    if content.reply_to:
        mailboxes = [
            mailbox_text(given, field="reply_to") for given in content.reply_to
        ]
        yield "h:Reply-To", ", ".join(mailboxes)


def _fields(email_id: str, content: Content) -> Iterator[Field]:
    yield "subject", content.subject
    if content.text:
        yield "text", content.text
    if content.html:
        yield "html", content.html
    for name, value in headers_of(content, reserved=RESERVED_HEADERS).items():
        yield f"h:{name}", value
    for label in labels_of(content, most=MAX_TAGS, longest=MAX_TAG):
        yield "o:tag", label
    yield f"v:{EMAIL_ID_FIELD}", email_id


def _file(attached: Attachment) -> RequestField:
    # Mailgun makes an inline file's name its Content-ID, so that the name is lost.
    inline = attached.content_id is not None
    filename = attached.content_id if inline else attached.filename
    return RequestField.from_tuples(
        "inline" if inline else "attachment",
        (
            one_line(filename or "file", field="attachments"),
            attached.content,
            one_line(attached.content_type, field="attachments"),
        ),
    )


def _words(answer: Answer) -> str | None:
    """Return what Mailgun says, or ``None`` if it is not Mailgun who speaks."""
    message = (json_object(answer) or {}).get("message")
    # Its 401 is the bare word "Forbidden".
    return message if isinstance(message, str) else plain_text(answer)
