"""What the web process is told by its composition root: limits and switches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from ..domain.email import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may hold: what every provider carries, or less.

    Attributes:
        body_bytes: The raw body of a request.
        mail_bytes: Decoded subject, bodies, headers and attachments of one email.
        recipients: Of ``to``, ``cc`` and ``bcc`` together; of ``reply_to`` alone.
        subject_chars: RFC 5322 section 2.1.1 allows a line of 998.
        headers: Headers of the client's own.
        header_chars: In the value of one of them.
        attachments: Files of one email.
        tags: Tags of one email.
        metadata_keys: Entries of ``metadata``.
        metadata_chars: In the value of one of them.
        horizon: How far ahead an email may be scheduled.
    """

    body_bytes: int = 15 * 1024 * 1024
    mail_bytes: int = 10 * 1024 * 1024
    recipients: int = 50
    subject_chars: int = 998
    headers: int = 50
    header_chars: int = 998
    attachments: int = 100
    tags: int = 10
    metadata_keys: int = 50
    metadata_chars: int = 1000
    horizon: timedelta = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the HTTP side is to behave.

    Attributes:
        development: Whether the sandbox's inbox is shown.
        api_key: SHA-256 of the key in the settings, beside those that are stored.
        metrics_key: The same of the key that opens the metrics and nothing else.
        default_from: The sender of emails that name none.
        cors_origins: Origins whose pages may call the API; ``*`` for all of them.
        limits: What one request may hold.
    """

    development: bool = False
    api_key: bytes | None = field(default=None, repr=False)
    metrics_key: bytes | None = field(default=None, repr=False)
    default_from: Address | None = None
    cors_origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
