"""What the providers' modules share in reading an answer.

A module lists what its provider documents as rows; what is in no row is a refusal that
is `transient` and not `certain`. So an answer that nobody has seen before never fails
an email and never passes for "surely not sent": another provider gets it, and the
possible duplicate is on record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import structlog

from ...domain.outcome import MAX_DETAIL, RefusalKind, Refused, Unknown
from .transport import Answer

#: Statuses by which a gateway says that it does not know what became of the request:
#: RFC 9110 sections 15.6.3 and 15.6.5, and Cloudflare's own 520 to 527 and 530.
GATEWAY_STATUSES = frozenset({502, 504, *range(520, 528), 530})

#: A longer wait than this is not believed: no limit of a provider lasts longer.
MAX_RETRY_AFTER = timedelta(days=1)

#: Characters of a provider's message id that are kept.
MAX_MESSAGE_ID = 200

#: How an @ may be written in an answer that is JSON, HTML or a URL.
_AT_SIGNS = ("@", "%40", "&#64;", "&#x40;", "\\u0040", "\uff20")

_MARKUP = re.compile(r"<[^<>]*>")
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a provider's table: which answer means what.

    Attributes:
        says: Words, in lower case, of which the answer holds one; none: any answer.
        own: Only an answer of the provider itself, which is no page. Otherwise any:
            the status says enough, whoever stands in front of the provider.
        certain: The provider documents this answer as "not accepted".
    """

    status: int
    kind: RefusalKind
    certain: bool = True
    says: tuple[str, ...] = ()
    own: bool = True
    throttled: bool = False

    def matches(self, status: int, words: str | None) -> bool:
        """Return whether an answer is meant; ``words``: the provider's own, if any."""
        if status != self.status or (self.own and words is None):
            return False
        said = (words or "").lower()
        return not self.says or any(phrase in said for phrase in self.says)


def refusal(
    answer: Answer,
    table: Iterable[Row],
    *,
    words: str | None,
    provider: str,
    hidden: Iterable[str] = (),
) -> Refused | Unknown:
    """Return what an answer that is no acceptance means.

    Args:
        answer: It is complete.
        table: The provider's rows; the first that matches decides.
        words: What it says, if it is the provider who speaks.
        provider: Whose answer it is, for the log.
        hidden: What must never be shown: the account's secrets.
    """
    detail = scrub(words if words is not None else _text(answer.body), hidden=hidden)
    code = str(answer.status)
    if answer.status in GATEWAY_STATUSES:
        return Unknown(cause="bad_gateway", detail=f"{code} {detail}"[:MAX_DETAIL])
    if answer.status < 300:
        return Unknown(cause="garbage", detail=f"{code} {detail}"[:MAX_DETAIL])
    row = next((r for r in table if r.matches(answer.status, words)), None)
    if row is None:
        _LOG.warning(
            "provider.answer.unlisted", provider=provider, status=code, detail=detail
        )
        row = Row(status=answer.status, kind=RefusalKind.TRANSIENT, certain=False)
    return Refused(
        kind=row.kind,
        certain=row.certain,
        code=code,
        detail=detail,
        retry_after=retry_after(answer.headers),
        throttled=row.throttled,
    )


def json_object(answer: Answer) -> Mapping[str, Any] | None:
    """Return the JSON object that an answer is, or ``None``."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def plain_text(answer: Answer) -> str | None:
    """Return what an answer says that is not in the provider's form, if it is no page.

    APIs do not answer in HTML: a page comes from a gateway, a firewall or a wrong URL,
    and its status says nothing of the email or the account. An empty or a short plain
    one is taken for the provider's.
    """
    if answer.body.lstrip().startswith(b"<"):
        return None
    return answer.body.decode("utf-8", errors="replace")


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the provider asks us to wait, or ``None``.

    ``Retry-After`` (RFC 9110 section 10.2.3) in seconds or as a date, else
    ``X-RateLimit-Reset`` as seconds (or milliseconds) since the epoch. Instants are
    compared with the answer's own ``Date``, so that our clock does not matter.
    Negative, past, garbled or longer than a day: nothing was asked.
    """
    now = _date(headers.get("Date")) or datetime.now(UTC)  # noqa: TID251 - an adapter
    asked = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(asked):
        return _believed(timedelta(seconds=float(asked)))
    if until := _date(asked):
        return _believed(until - now)
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if re.fullmatch(r"[0-9]{10}|[0-9]{13}", reset):
        seconds = int(reset) / (1000 if len(reset) == 13 else 1)
        return _believed(datetime.fromtimestamp(seconds, UTC) - now)
    return None


def message_id(value: object) -> str | None:
    """Return the provider's name for an email, fit to be kept, or ``None``."""
    if not isinstance(value, str):
        return None
    return _printable(value, "").strip()[:MAX_MESSAGE_ID] or None


def scrub(text: str, *, hidden: Iterable[str] = ()) -> str:
    """Return a provider's words without addresses, secrets and control characters.

    Each word with an @ in it, however that is written, becomes ``<address>``.
    """
    for secret in hidden:
        if secret:
            text = text.replace(secret, "***")
    words = _printable(text, " ").split()
    return " ".join(_without_address(word) for word in words)[:MAX_DETAIL]


def _without_address(word: str) -> str:
    lower = word.lower()
    return "<address>" if any(sign in lower for sign in _AT_SIGNS) else word


def _printable(text: str, instead: str) -> str:
    return "".join(char if char.isprintable() else instead for char in text)


def _text(body: bytes) -> str:
    return _MARKUP.sub(" ", body.decode("utf-8", errors="replace"))


def _believed(wait: timedelta) -> timedelta | None:
    return wait if timedelta(0) <= wait <= MAX_RETRY_AFTER else None


def _date(value: str | None) -> datetime | None:
    if not value or len(value) > 64:
        return None
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
