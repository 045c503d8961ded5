"""The kinds of values that an email is made of, as pydantic sees them.

The limits and the time of the request come in by pydantic's context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from ..domain.address import LONGEST_TEXT
from ..domain.email import Address
from . import checks, file_checks, time_checks
from .faults import FaultCode
from .options import Limits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the rules need to know besides the value.

    Attributes:
        clock: Gives the store's time; asked only for an email with a schedule.
        providers: Names of those that an email may be pinned to.
    """

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = field(default=lambda: _EPOCH)
    providers: tuple[str, ...] = ()


def _context(info: ValidationInfo) -> Context:
    return info.context if isinstance(info.context, Context) else Context()


def _addresses(value: object, info: ValidationInfo) -> object:
    """Make a list of one address; look at the length before at the addresses."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise checks.fault(
            FaultCode.WRONG_TYPE,
            "must be an address as a string, or an array of such strings",
        )
    return _counted(value, _context(info).limits.recipients, "addresses")


def _counted(value: Any, limit: int, what: str) -> Any:
    if isinstance(value, list | dict) and len(value) > limit:
        raise checks.fault(
            FaultCode.TOO_MANY,
            f"must be at most {limit} {what}, got {len(value)}",
        )
    return value


def _attachments(value: Any, info: ValidationInfo) -> Any:
    return _counted(value, _context(info).limits.attachments, "attachments")


def _tags(value: Any, info: ValidationInfo) -> Any:
    return _counted(value, _context(info).limits.tags, "tags")


def _headers(value: Any, info: ValidationInfo) -> Any:
    return _counted(value, _context(info).limits.headers, "headers")


def _metadata(value: Any, info: ValidationInfo) -> Any:
    return _counted(value, _context(info).limits.metadata_keys, "entries")


def _subject(text: str, info: ValidationInfo) -> str:
    limit = _context(info).limits.subject_chars
    return checks.text_line(checks.at_most(checks.not_blank(text), limit))


def _header_value(text: str, info: ValidationInfo) -> str:
    limit = _context(info).limits.header_chars
    return checks.header_value(checks.text_line(checks.at_most(text, limit)))


def _metadata_value(text: str, info: ValidationInfo) -> str:
    limit = _context(info).limits.metadata_chars
    return checks.text_line(checks.at_most(text, limit))


def _metadata_key(text: str) -> str:
    return checks.text_line(checks.at_most(checks.not_blank(text), 64))


def _scheduled_at(value: object, info: ValidationInfo) -> datetime:
    if not isinstance(value, str):
        raise checks.fault(FaultCode.WRONG_TYPE, "must be a time as a string")
    context = _context(info)
    text = checks.at_most(value, 64)
    return time_checks.instant(
        text, now=context.clock(), horizon=context.limits.horizon
    )


def _provider(name: str, info: ValidationInfo) -> str:
    known = _context(info).providers
    if name not in known:
        raise checks.fault(
            FaultCode.UNKNOWN_PROVIDER,
            f"must be one of the configured providers: {', '.join(known)}",
        )
    return name


_ADDRESS_SCHEMA = {
    "type": "string",
    "format": "mailbox",
    "minLength": 5,
    "maxLength": LONGEST_TEXT,
    "description": "`Name <local@domain>` or `local@domain`; one address.",
    "examples": ["Ada Lovelace <ada@example.com>", "ada@example.com"],
}

_BYTES_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
}

Mailbox = Annotated[
    Address,
    PlainValidator(checks.mailbox),
    WithJsonSchema(_ADDRESS_SCHEMA),
]
Mailboxes = Annotated[
    list[Annotated[Address, PlainValidator(checks.mailbox)]],
    BeforeValidator(_addresses),
    WithJsonSchema(
        {"oneOf": [_ADDRESS_SCHEMA, {"type": "array", "items": _ADDRESS_SCHEMA}]},
    ),
]
Subject = Annotated[str, AfterValidator(_subject)]
Text = Annotated[str, AfterValidator(checks.text_body)]
HeaderName = Annotated[str, AfterValidator(checks.header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
MetadataKey = Annotated[str, AfterValidator(_metadata_key)]
MetadataValue = Annotated[str, AfterValidator(_metadata_value)]
TagPart = Annotated[
    str,
    AfterValidator(checks.tag_part),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$"}),
]
ContentId = Annotated[
    str,
    AfterValidator(file_checks.content_id),
    WithJsonSchema({"type": "string", "pattern": "^<?[A-Za-z0-9._@+-]{1,128}>?$"}),
]
FileContent = Annotated[
    bytes,
    PlainValidator(file_checks.file_content),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string", "contentEncoding": "base64", "minLength": 4},
                _BYTES_SCHEMA,
                {
                    "type": "object",
                    "description": "What Node makes of a Buffer.",
                    "properties": {
                        "type": {"const": "Buffer"},
                        "data": _BYTES_SCHEMA,
                    },
                    "required": ["type", "data"],
                    "additionalProperties": False,
                },
            ],
        },
    ),
]
ScheduledAt = Annotated[
    datetime,
    PlainValidator(_scheduled_at),
    WithJsonSchema(
        {
            "type": "string",
            "format": "instant-or-delay",
            "minLength": 8,
            "maxLength": 64,
            "examples": ["2030-01-31T09:00:00Z", "in 5 minutes"],
        },
    ),
]
FileName = Annotated[
    str,
    AfterValidator(file_checks.file_name),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r'^[^\s/\\"]([^/\\"]*[^\s/\\"])?$',
            "minLength": 1,
            "maxLength": 255,
        }
    ),
]
MediaType = Annotated[
    str,
    AfterValidator(file_checks.content_type),
    WithJsonSchema({"type": "string", "format": "media-type", "minLength": 3}),
]
Headers = Annotated[
    dict[HeaderName, HeaderValue],
    BeforeValidator(_headers),
    AfterValidator(checks.distinct_headers),
]
Metadata = Annotated[dict[MetadataKey, MetadataValue], BeforeValidator(_metadata)]
ProviderName = Annotated[str, AfterValidator(_provider)]

#: Looks at how many there are before at any of them.
CountedAttachments = BeforeValidator(_attachments)
CountedTags = BeforeValidator(_tags)
