"""A request that is repeated under its key is one request: what is kept to know it.

Why so: docs/adr/0042-idempotency-keys-of-clients.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from .acceptance import NewEmail
from .email import Address, Attachment, Delivery, Email, Priority, State
from .errors import InvalidValueError

#: Most characters of a key; the least is one.
LONGEST_KEY = 256

#: How long a key is kept at least, however soon its emails are final.
KEEP_KEY = timedelta(hours=24)

#: How long a key that is older is left alone when an email of it is not final yet.
LOOK_AGAIN = timedelta(hours=1)


class Route(StrEnum):
    """What a key is for: the same key means something else on another route."""

    EMAILS = "emails"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A client's name for a request.

    Attributes:
        owner: Whose request it is; nobody else's has the same key.
        value: 1 to 256 characters.

    Raises:
        InvalidValueError: It is empty or longer.
    """

    owner: str
    route: Route
    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.value) <= LONGEST_KEY:
            raise InvalidValueError(
                f"an idempotency key must have 1 to {LONGEST_KEY} characters, "
                f"got {len(self.value)}"
            )

    @property
    def name(self) -> str:
        """What the store knows it by: the key itself is nobody's to read."""
        return _digest([self.owner, self.route.value, self.value])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """An item of a batch that is no email, and why.

    Attributes:
        digest: Of what the client sent, so that another item is another request.
    """

    index: int
    message: str
    digest: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An email as its client was first told of it."""

    email_id: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a request, as it is kept under the key.

    Attributes:
        name: Of the key; empty for a request without one.
        fingerprint: Of what was asked for; empty without a key.
        at: When the emails were accepted.
    """

    emails: tuple[Taken, ...]
    unfit: tuple[Unfit, ...] = ()
    at: datetime
    name: str = ""
    fingerprint: str = ""

    @classmethod
    def of(
        cls,
        emails: Sequence[Email],
        unfit: Sequence[Unfit],
        *,
        at: datetime,
        name: str = "",
        fingerprint: str = "",
    ) -> Receipt:
        """Return the receipt for new emails."""
        return cls(
            emails=tuple(Taken(email_id=e.email_id, state=e.state) for e in emails),
            unfit=tuple(unfit),
            at=at,
            name=name,
            fingerprint=fingerprint,
        )

    @property
    def has_key(self) -> bool:
        """Whether it is kept under a key."""
        return bool(self.name)

    @property
    def email_ids(self) -> tuple[str, ...]:
        """The ids of the emails, in their order."""
        return tuple(taken.email_id for taken in self.emails)


def fingerprint(items: Sequence[NewEmail | Unfit], *, is_strict: bool) -> str:
    """Return what two requests have in common that ask for the same.

    The order of fields, spaces, nulls and other spellings of the same do not count,
    nor does a field that says what is meant without it: a release that adds a field
    makes the same of an older request. A delay counts as the delay: what ``in 5
    minutes`` comes to is another instant each time.

    Args:
        items: Of a batch, or the one email.
        is_strict: Whether one that is unfit refuses all.

    Returns:
        64 hexadecimal digits.
    """
    return _digest([is_strict, [_canonical(item) for item in items]])


def digest_of(json_value: object) -> str:
    """Return a digest of parsed JSON, whatever the order of its names."""
    return _digest(json_value)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(item: NewEmail | Unfit) -> dict[str, Any]:
    if isinstance(item, Unfit):
        return {"unfit": item.digest}
    return {name: value for name, value in _facts(item) if value}


def _facts(new: NewEmail) -> Iterator[tuple[str, Any]]:
    """Give each fact under its field's name; an empty one is left out."""
    content = new.content
    yield "from", _address(content.sender)
    yield "reply_to", [_address(one) for one in content.reply_to]
    yield "recipients", [[r.kind, r.addr_spec, r.display_name] for r in new.recipients]
    yield "subject", content.subject
    yield "text", content.text
    yield "html", content.html
    yield "headers", dict(content.headers)
    yield "tags", [[tag.name, tag.value] for tag in content.tags]
    yield "metadata", dict(content.metadata)
    yield "attachments", [_attachment(one) for one in content.attachments]
    yield "delivery", _unless(new.delivery, Delivery.AT_LEAST_ONCE)
    yield "provider", new.provider
    yield "priority", _unless(new.priority, Priority.NORMAL)
    if new.delay is not None:
        yield "delay_s", str(new.delay.total_seconds())
    elif new.scheduled_at is not None:
        yield "scheduled_at", new.scheduled_at.astimezone(UTC).isoformat()


def _unless(word: StrEnum, usual: StrEnum) -> str | None:
    return None if word is usual else word.value


def _address(address: Address) -> list[str | None]:
    return [address.addr_spec, address.display_name]


def _attachment(one: Attachment) -> Mapping[str, str | None]:
    return {
        "filename": one.filename,
        "content": hashlib.sha256(one.content).hexdigest(),
        "content_type": one.content_type,
        "content_id": one.content_id,
    }
