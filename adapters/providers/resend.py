"""Resend, by its API: a provider that honours idempotency keys.

Sources: its errors, idempotency keys, limits, User-Agent
https://resend.com/docs/api-reference/errors
https://resend.com/docs/dashboard/emails/idempotency-keys
https://resend.com/docs/api-reference/rate-limit
https://resend.com/docs/api-reference/introduction
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import timedelta

from ...domain.email import Email
from ...domain.outcome import Accepted, Outcome, RefusalKind, Unknown
from ...domain.ports import Built
from ...domain.routing import ProviderProfile
from ..failpoints import Around, nothing_around
from ..settings_providers import ResendSettings
from .answers import Row, json_object, message_id, plain_text, refusal, scrub
from .resend_message import message_of
from .transport import Answer, Request, Transport

#: What an answer of Resend's (a JSON object with ``name`` and ``message``) or with a
#: status that says enough by itself means.
TABLE = (
    # What is wrong is our key, not the email: another provider can have it.
    Row(status=400, kind=RefusalKind.TRANSIENT, says=("invalid_idempotency_key",)),
    # A wrong key is documented as 403; this is what users report that they get.
    Row(status=400, kind=RefusalKind.ACCOUNT, says=("api key is invalid",)),
    Row(status=400, kind=RefusalKind.PERMANENT),
    # "missing_api_key", "restricted_api_key". Whoever says so, in whatever form, says
    # it to every email.
    Row(status=401, kind=RefusalKind.ACCOUNT, own=False),
    Row(
        status=403,
        kind=RefusalKind.ACCOUNT,
        # 1010 is Cloudflare's: such requests "are blocked before they reach the API"
        # (resend.com/docs/knowledge-base/403-error-1010).
        says=("invalid_api_key", "suspended_api_key", "error code: 1010"),
    ),
    # "The ... domain is not verified", "You can only send testing emails to your own
    # email address": all of them are about the From. The other two are older names.
    Row(
        status=403,
        kind=RefusalKind.SENDER,
        says=("validation_error", "invalid_from_address", "invalid_to_address"),
    ),
    # The URL in the settings leads to Resend, but not to this call.
    Row(status=404, kind=RefusalKind.ACCOUNT),
    Row(status=405, kind=RefusalKind.ACCOUNT),
    # An earlier call with this key is still running: this one was not taken, and "it is
    # safe to retry this request later". What the earlier one comes to, its own attempt
    # has to say.
    Row(
        status=409,
        kind=RefusalKind.TRANSIENT,
        says=("concurrent_idempotent_requests",),
    ),
    Row(status=413, kind=RefusalKind.PERMANENT, own=False),
    # "missing_required_field", "invalid_attachment", "invalid_parameter", and
    # "invalid_from_address", which is here about the form of this one From.
    Row(status=422, kind=RefusalKind.PERMANENT),
    # Until a day or a month is over that is said to every email of this account.
    Row(
        status=429,
        kind=RefusalKind.ACCOUNT,
        says=("daily_quota_exceeded", "monthly_quota_exceeded"),
    ),
    Row(status=429, kind=RefusalKind.TRANSIENT, own=False, throttled=True),
    # "security_error": "We may have found a security issue with the request".
    Row(status=451, kind=RefusalKind.PERMANENT),
    # "An unexpected error occurred" does not say that the email was not taken.
    Row(status=500, kind=RefusalKind.TRANSIENT, certain=False, own=False),
    Row(status=503, kind=RefusalKind.TRANSIENT, certain=False, own=False),
)

#: Seconds that Resend keeps a key: "We keep idempotency keys in our system for 24
#: hours". Our keys are far shorter than the 256 characters that it takes.
KEY_TTL_S = 24 * 60 * 60

#: Of an email, decoded: 40 MB are allowed for all of it, where base64 makes four bytes
#: of three and adds line ends.
MAX_SIZE_BYTES = 27 * 1024 * 1024

MAX_RECIPIENTS = 50


class ResendProvider:
    """One account at Resend."""

    def __init__(
        self,
        settings: ResendSettings,
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
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                # Requests without one are refused, and so are some libraries' own.
                "User-Agent": "postroom",
            },
            proxy=proxy,
            tls=tls,
            around=around,
        )
        self.profile = ProviderProfile(
            name=settings.name,
            kind="resend",
            max_size_bytes=MAX_SIZE_BYTES,
            max_recipients=MAX_RECIPIENTS,
            key_ttl_s=KEY_TTL_S,
        )

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        """Make the JSON of one emails call."""
        request = Request(
            path="/emails",
            content_type="application/json",
            body=message_of(email, recipients),
            headers={} if key is None else {"Idempotency-Key": key},
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
        said = json_object(answer) or {}
        if answer.status == 409 and said.get("name") == "invalid_idempotent_request":
            # Resend has had this key with another body. So an earlier call came to
            # something there, and this repetition was not done: whether the email is
            # out is what nobody can tell from here, and no refusal says so.
            return self._unknown("key_conflict", answer)
        if answer.status != 200:
            return refusal(
                answer,
                TABLE,
                words=_words(answer),
                provider=self.profile.name,
                hidden=self._hidden,
            )
        name = message_id(said.get("id"))
        if name is None:
            return self._unknown("garbage", answer)
        return Accepted(provider_message_id=name)

    def _unknown(self, cause: str, answer: Answer) -> Unknown:
        words = _words(answer) or answer.body.decode(errors="replace")
        return Unknown(cause=cause, detail=scrub(words, hidden=self._hidden))


def _words(answer: Answer) -> str | None:
    """Return what Resend says, or ``None`` if it is not Resend who speaks."""
    said = json_object(answer) or {}
    name, message = said.get("name"), said.get("message")
    if not isinstance(message, str):
        return plain_text(answer)
    return f"{name}: {message}" if isinstance(name, str) else message
