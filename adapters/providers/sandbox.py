"""A provider that sends nothing: it keeps what it is given, for the inbox page.

It can be told to refuse, fail, hang or be slow, so that all of Postroom can be seen at
work without an account anywhere.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, assert_never

from ...domain.address import format_address
from ...domain.email import Address, Content, Email
from ...domain.errors import PostroomError
from ...domain.outcome import Accepted, Outcome, RefusalKind, Refused, Unknown
from ...domain.ports import Built, Clock
from ...domain.routing import ProviderProfile
from ..sandbox_inbox import KEY_TTL
from ..settings_providers import SandboxMode, SandboxSettings
from .contents import addressed, content_of, headers_of

#: What `slow` takes, in ms, if no delay is set: well over a usual answer, well under
#: the shipped timeout.
SLOW_MS = 3000

#: What the API lets through fits: the sandbox is never the reason.
MAX_SIZE_BYTES = 100 * 1024 * 1024
MAX_RECIPIENTS = 1000


class Inbox(Protocol):
    """Where the sandbox keeps what it "sent"."""

    def keep(self, document: dict[str, Any], *, key: str | None = None) -> None:
        """Keep one email; old ones make room. One with a spent key is not kept.

        Raises:
            PostroomError: It may or may not be kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """What the inbox is to keep, and under which idempotency key, if any."""

    document: Mapping[str, Any] = field(repr=False)
    key: str | None


class SandboxProvider:
    """One sandbox: what it does with an email is in its settings."""

    def __init__(
        self,
        settings: SandboxSettings,
        inbox: Inbox,
        *,
        clock: Clock,
        only_pinned: bool = False,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._clock = clock
        self._never = threading.Event()
        self.profile = ProviderProfile(
            name=settings.name,
            kind="sandbox",
            max_size_bytes=MAX_SIZE_BYTES,
            max_recipients=MAX_RECIPIENTS,
            key_ttl_s=int(KEY_TTL.total_seconds()) if settings.keys else 0,
            only_pinned=only_pinned,
        )

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        """Make the document that the inbox would keep."""
        content = content_of(email)
        named = [
            Address(addr_spec=one.addr_spec, display_name=one.display_name)
            for chosen in addressed(email, recipients).values()
            for one in chosen
        ]
        document = {
            "email_id": email.email_id,
            "from": format_address(content.sender),
            "recipients": [format_address(address) for address in named],
            **_shown(content),
            "provider": self.profile.name,
        }
        honoured = key if self.profile.key_ttl_s else None
        letter = _Letter(document=document, key=honoured)
        return Built(provider=self.profile.name, request=letter)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        """Do with it what the settings say, within ``timeout``."""
        if self._waits_until(timeout):
            return Unknown(cause="timeout", detail="no answer in time")
        match self._settings.mode:
            case SandboxMode.ACCEPT | SandboxMode.SLOW | SandboxMode.HANG:
                return self._accept(built.request)
            case SandboxMode.REFUSE:
                return Refused(
                    kind=RefusalKind.PERMANENT,
                    certain=True,
                    code="550",
                    detail="the sandbox is told to refuse",
                )
            case SandboxMode.FAIL:
                return Refused(
                    kind=RefusalKind.TRANSIENT,
                    certain=True,
                    code="503",
                    detail="the sandbox is told to fail",
                )
            case _:
                assert_never(self._settings.mode)

    def _waits_until(self, timeout: timedelta) -> bool:
        """Wait before the answer. Returns whether the time is over first."""
        delay_ms = self._settings.delay_ms
        if self._settings.mode is SandboxMode.SLOW:
            delay_ms = delay_ms or SLOW_MS
        delay = timedelta(milliseconds=delay_ms)
        hangs = self._settings.mode is SandboxMode.HANG or delay >= timeout
        wait = timeout if hangs else delay
        if wait:
            self._never.wait(wait.total_seconds())
        return hangs

    def _accept(self, letter: _Letter) -> Outcome:
        document = {**letter.document, "at": self._clock.now()}
        key = self._scoped(letter.key)
        try:
            self._inbox.keep(document, key=key)
        except PostroomError as ex:
            return Unknown(cause="inbox", detail=type(ex).__name__)
        return Accepted(provider_message_id=f"sandbox-{_name_of(key)}")

    def _scoped(self, key: str | None) -> str | None:
        """Return the key as the inbox knows it, which several sandboxes share."""
        return None if key is None else f"{self.profile.name}/{key}"


def _name_of(key: str | None) -> str:
    """Return a name for what was accepted: the same key has the same answer."""
    if key is None:
        return uuid.uuid4().hex
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _shown(content: Content) -> Mapping[str, Any]:
    headers = headers_of(content, reserved=())
    return {
        "reply_to": [format_address(address) for address in content.reply_to],
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "headers": dict(headers),
        "attachments": [
            {"filename": attached.filename, "size_bytes": len(attached.content)}
            for attached in content.attachments
        ],
    }
