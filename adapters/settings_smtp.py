"""Where an SMTP relay is and how it is spoken to: all of it in one URL.

``smtp://`` is a submission port with STARTTLS, which is required: a relay that does not
offer it, or somebody on the way who hides the offer, gets no email. ``smtps://`` is TLS
from the first byte (RFC 8314 section 3.3). Only ``smtp://...?tls=none`` goes without.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, unquote

from .secret import Secret
from .settings_values import Kind, split_url

#: Of message submission and of the same over TLS: RFC 8314 sections 3.3 and 7.3.
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465

#: What can go into AUTH on every server: no control characters, and no others that
#: RFC 4616 leaves to a preparation that servers do each in their own way.
_CREDENTIAL = re.compile(r"[\x20-\x7e]+")


class SmtpTls(StrEnum):
    """How the connection is protected."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """What the URL of a relay says.

    Attributes:
        url: As it was written.
        user: Empty for a relay that knows us by our address.
    """

    url: Secret
    host: str
    port: int
    tls: SmtpTls
    user: str = field(repr=False)
    password: Secret

    @property
    def is_local(self) -> bool:
        """Whether what is said to it never leaves this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _smtp_url(text: str) -> SmtpServer:
    parts = split_url(text, ("smtp", "smtps"))
    if parts.path not in {"", "/"} or parts.fragment:
        raise ValueError("it ends after the host or port, but for ?tls=none")
    tls = _tls(parts)
    implicit = tls is SmtpTls.IMPLICIT
    server = SmtpServer(
        url=Secret(text),
        host=parts.hostname or "",
        port=parts.port or (SUBMISSIONS_PORT if implicit else SUBMISSION_PORT),
        tls=tls,
        user=_credential(parts.username),
        password=Secret(_credential(parts.password)),
    )
    if bool(server.user) != bool(server.password.reveal()):
        raise ValueError("there must be a user and a password, or neither")
    if server.user and tls is SmtpTls.NONE and not server.is_local:
        raise ValueError("without TLS a password is sent to this machine only")
    return server


def _tls(parts: SplitResult) -> SmtpTls:
    if parts.scheme == "smtp" and parts.query == "tls=none":
        return SmtpTls.NONE
    if parts.query:
        raise ValueError("the one thing after a ? is tls=none, for smtp://")
    return SmtpTls.IMPLICIT if parts.scheme == "smtps" else SmtpTls.STARTTLS


def _credential(part: str | None) -> str:
    text = unquote(part or "", errors="replace")
    if text and not _CREDENTIAL.fullmatch(text):
        raise ValueError("a user and a password must be of visible ASCII characters")
    return text


def _ca_file(text: str) -> str:
    try:
        ssl.create_default_context(cafile=text)
    except (OSError, ValueError):
        raise ValueError("no certificate can be read from it") from None
    return text


SMTP_URL = Kind(
    read=_smtp_url,
    expected="smtp:// or smtps://[user:password@]host[:port]",
    secret=True,
)
CA_FILE = Kind(read=_ca_file, expected="a file of PEM certificates")
