"""Emails as MongoDB documents and back, and changes as update operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from bson import ObjectId

from ..domain.change import Change, Guard
from ..domain.email import (
    Address,
    Attachment,
    Attempt,
    ConfirmedDuplicate,
    Content,
    Delivery,
    Email,
    PossibleDuplicate,
    Priority,
    Recipient,
    RecipientKind,
    RecipientState,
    Routing,
    State,
    Tag,
    WaitingFor,
)
from ..domain.outcome import OutcomeWord, RefusalKind

Word = TypeVar("Word", bound=StrEnum)
Duplicate = TypeVar("Duplicate", PossibleDuplicate, ConfirmedDuplicate)

#: What a change may alter, and nothing else is ever written after the insert.
_MUTABLE = (
    "state",
    "reason",
    "reason_detail",
    "waiting_for",
    "scheduled_at",
    "first_due_at",
    "parked_for",
    "bound_to",
    "not_before",
    "due_at",
    "offers",
    "fence",
    "round",
    "first_round",
    "last_event",
    "updated_at",
    "sent_at",
    "redriven_at",
    "redrives",
    "dead_at",
    "final_at",
    "erased_at",
    "expires_at",
)

#: What an email is stored with only if it has it.
_PRESENT = ("provider", *_MUTABLE)

#: What an offer writes.
_OFFERED = ("due_at", "offers")

#: Arrays of which single elements are written.
_ARRAYS = ("attempts", "recipients", "possible_duplicates", "confirmed_duplicates")

#: Fields that hold what was said; the sweep reads an email without them.
CONTENT_FIELDS = (
    "from",
    "reply_to",
    "subject",
    "text",
    "html",
    "headers",
    "tags",
    "metadata",
    "attachments",
    "labels",
)

#: The parts of the content that may be large, and then live in a payload.
LARGE_FIELDS = ("text", "html", "attachments")


def to_document(email: Email) -> dict[str, Any]:
    """Return an email as it is stored, with its content."""
    document: dict[str, Any] = {
        "_id": ObjectId(email.email_id),
        "owner": email.owner,
        "recipients": [_plain(r) for r in email.recipients],
        "delivery": email.delivery.value,
        "priority": email.priority.value,
        "routing": _plain(email.routing),
        "attempts": [_plain(a) for a in email.attempts],
        "possible_duplicates": [_plain(d) for d in email.possible_duplicates],
        "confirmed_duplicates": [_plain(d) for d in email.confirmed_duplicates],
        "created_at": email.created_at,
        "v": email.v,
    }
    for name in _PRESENT:
        value = getattr(email, name)
        if value is not None and value != ():
            document[name] = _value(value)
    if email.content is not None:
        document |= _content(email.content)
        document["labels"] = list(dict.fromkeys(_labels(email, email.content)))
    return document


def recipient_label(addr_spec: str) -> str:
    """Return what an email is found by that went to an address, of any kind.

    Labels are written with the email and never after: one index over all of them
    finds an email by its recipients and by its tags.
    """
    return f"to:{addr_spec.lower()}"


def tag_label(name: str, value: str | None = None) -> str:
    """Return what an email is found by that has a tag, or a tag that says this."""
    return f"tag:{name}" if value is None else f"tag:{name}={value}"


def _labels(email: Email, content: Content) -> Iterator[str]:
    for recipient in email.recipients:
        yield recipient_label(recipient.addr_spec)
    for tag in content.tags:
        yield tag_label(tag.name)
        yield tag_label(tag.name, tag.value)


def from_document(document: Mapping[str, Any]) -> Email:
    """Return the email that a document holds.

    Args:
        document: As stored; without content fields the email has no content.
    """
    return Email(
        email_id=str(document["_id"]),
        owner=document["owner"],
        content=_read_content(document) if "from" in document else None,
        recipients=tuple(_read_recipient(r) for r in document["recipients"]),
        delivery=Delivery(document["delivery"]),
        provider=document.get("provider"),
        priority=Priority(document["priority"]),
        scheduled_at=document.get("scheduled_at"),
        routing=Routing(**_known(Routing, document["routing"])),
        state=State(document["state"]),
        reason=document.get("reason"),
        reason_detail=document.get("reason_detail"),
        waiting_for=_word(WaitingFor, document.get("waiting_for")),
        parked_for=tuple(document.get("parked_for", ())),
        bound_to=document.get("bound_to"),
        not_before=document.get("not_before"),
        due_at=document.get("due_at"),
        offers=document.get("offers", 0),
        fence=document["fence"],
        round=document.get("round", 1),
        first_round=document.get("first_round", 1),
        attempts=tuple(_read_attempt(a) for a in document["attempts"]),
        possible_duplicates=tuple(
            _read_duplicate(PossibleDuplicate, d)
            for d in document["possible_duplicates"]
        ),
        confirmed_duplicates=tuple(
            _read_duplicate(ConfirmedDuplicate, d)
            for d in document.get("confirmed_duplicates", ())
        ),
        last_event=document.get("last_event"),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        sent_at=document.get("sent_at"),
        first_due_at=document["first_due_at"],
        redriven_at=document.get("redriven_at"),
        redrives=document.get("redrives", 0),
        dead_at=document.get("dead_at"),
        final_at=document.get("final_at"),
        erased_at=document.get("erased_at"),
        expires_at=document.get("expires_at"),
        v=document["v"],
    )


def to_filter(email_id: str, guard: Guard) -> dict[str, Any]:
    """Return the guard as a filter by ``_id``, which a sharded store can target."""
    query: dict[str, Any] = {
        "_id": ObjectId(email_id),
        "fence": guard.fence,
        "state": {"$in": sorted(state.value for state in guard.states)},
    }
    if guard.not_before_by is not None:
        query["not_before"] = {"$lte": guard.not_before_by}
    if guard.due_at is not None:
        query["due_at"] = guard.due_at
    for index in guard.pending or ():
        query[f"recipients.{index}.state"] = RecipientState.PENDING.value
    return query


def to_update(change: Change) -> dict[str, Any]:
    """Return the operators that write what a change altered, and hardly more."""
    before, after = change.before, change.after
    values: dict[str, Any] = {}
    gone: dict[str, Any] = {}
    # An offer leaves the fence alone, so one may have come between the read and this
    # write: what offers change is written whole.
    always = _OFFERED if after.fence != before.fence else ()
    for name in _MUTABLE:
        new = getattr(after, name)
        if new == getattr(before, name) and name not in always:
            continue
        if new is None or new == ():
            gone[name] = ""
        else:
            values[name] = _value(new)
    for name in _ARRAYS:
        old = getattr(before, name)
        for index, element in enumerate(getattr(after, name)):
            if index >= len(old) or old[index] != element:
                values[f"{name}.{index}"] = _plain(element)
    return {
        operator: part
        for operator, part in (("$set", values), ("$unset", gone))
        if part
    }


def _plain(value: Any) -> dict[str, Any]:
    """Return a flat dataclass as a document, without what is not there or empty."""
    names = _names_of(value.__class__)
    found = ((name, getattr(value, name)) for name in names)
    return {
        name: _value(item) for name, item in found if item is not None and item != ()
    }


@cache
def _names_of(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _value(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return value


def _word(words: type[Word], value: str | None) -> Word | None:
    return None if value is None else words(value)


def _known(cls: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this release knows: a newer one may have added some."""
    names = _names_of(cls)
    return {name: value for name, value in document.items() if name in names}


def _read_recipient(document: Mapping[str, Any]) -> Recipient:
    values = _known(Recipient, document)
    return Recipient(
        **values
        | {
            "kind": RecipientKind(values["kind"]),
            "state": RecipientState(values["state"]),
        },
    )


def _read_attempt(document: Mapping[str, Any]) -> Attempt:
    values = _known(Attempt, document)
    return Attempt(
        **values
        | {
            "recipients": tuple(values["recipients"]),
            "refused": tuple(values.get("refused", ())),
            "outcome": OutcomeWord(values["outcome"]),
            "kind": _word(RefusalKind, values.get("kind")),
        },
    )


def _read_duplicate(cls: type[Duplicate], document: Mapping[str, Any]) -> Duplicate:
    values = _known(cls, document)
    return cls(**values | {"earlier": tuple(values["earlier"])})


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a mapping as a list: a client's keys are no good as field names."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _content(content: Content) -> dict[str, Any]:
    document: dict[str, Any] = {
        "from": _plain(content.sender),
        "reply_to": [_plain(a) for a in content.reply_to],
        "subject": content.subject,
        "headers": _pairs(content.headers),
        "tags": [_plain(tag) for tag in content.tags],
        "metadata": _pairs(content.metadata),
        "attachments": [_plain(a) for a in content.attachments],
    }
    if content.text is not None:
        document["text"] = content.text
    if content.html is not None:
        document["html"] = content.html
    return document


def _read_content(document: Mapping[str, Any]) -> Content:
    return Content(
        sender=_read_address(document["from"]),
        reply_to=tuple(_read_address(a) for a in document["reply_to"]),
        subject=document["subject"],
        text=document.get("text"),
        html=document.get("html"),
        headers={h["name"]: h["value"] for h in document["headers"]},
        tags=tuple(Tag(name=t["name"], value=t["value"]) for t in document["tags"]),
        metadata={m["name"]: m["value"] for m in document["metadata"]},
        attachments=tuple(
            Attachment(
                filename=a["filename"],
                content=bytes(a["content"]),
                content_type=a["content_type"],
                content_id=a.get("content_id"),
            )
            for a in document.get("attachments", ())
        ),
    )


def _read_address(document: Mapping[str, Any]) -> Address:
    return Address(
        addr_spec=document["addr_spec"],
        display_name=document.get("display_name", ""),
    )
