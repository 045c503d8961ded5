"""What an attempt came to: returned values, never exceptions.

The four outcomes are a closed set. ``match`` on them ends in ``assert_never``, so
that a fifth one cannot be forgotten anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

#: Characters of a provider's own words that are kept with an attempt.
MAX_DETAIL = 500


class RefusalKind(StrEnum):
    """Whom a refusal is meant for, and so what may be tried next."""

    #: This email: another try or another provider cannot help.
    PERMANENT = "permanent"
    #: Now: trying again may work, here or elsewhere.
    TRANSIENT = "transient"
    #: Every email of this account: the breaker opens at once.
    ACCOUNT = "account"
    #: This From at this provider: another provider may carry it.
    SENDER = "sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRefusal:
    """What a provider said of one recipient that it turned away.

    Attributes:
        index: Position in the email's recipients, counted from 0.
        kind: ``PERMANENT`` or ``TRANSIENT``.
        code: The provider's code, such as ``550 5.1.1``.
        detail: The provider's words, at most ``MAX_DETAIL`` characters.
    """

    index: int
    kind: RefusalKind
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider took the email: a complete, readable success.

    Attributes:
        provider_message_id: The provider's name for it, or ``None`` if it gave none.
        refused: Recipients that it turned away all the same.
    """

    provider_message_id: str | None
    refused: tuple[RecipientRefusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider gave a complete answer that says no.

    Attributes:
        kind: Whom the refusal is meant for.
        certain: Whether the provider documents this answer as "not accepted".
        code: The provider's code or HTTP status, as text.
        detail: The provider's words, at most ``MAX_DETAIL`` characters.
        retry_after: How long the provider asked us to wait, if it did.
        throttled: The provider is limiting our rate (429): the wait is meant for
            every email, and says nothing about the provider's health.
        refused: What it said of single recipients, where it said it. ``kind`` is
            about the others; with none left it is ``PERMANENT`` if all were.
    """

    kind: RefusalKind
    certain: bool
    code: str
    detail: str = ""
    retry_after: timedelta | None = None
    throttled: bool = False
    refused: tuple[RecipientRefusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing left this machine that the provider could have taken.

    Attributes:
        cause: ``dns``, ``connection_refused``, ``tls``, ``connect_timeout``, ...
        late: We were too late after the claim and did not call at all, which says
            nothing about the provider.
    """

    cause: str
    detail: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No usable answer after the first byte left: it may have been accepted.

    Attributes:
        cause: ``timeout``, ``reset``, ``bad_gateway``, ``garbage``, ``truncated``, ...
        refused: Recipients that had been turned away before: they are not out.
    """

    cause: str
    detail: str = ""
    refused: tuple[RecipientRefusal, ...] = ()


Outcome = Accepted | Refused | NotSent | Unknown


class OutcomeWord(StrEnum):
    """The outcome as one word, stored with the attempt and shown to clients."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
