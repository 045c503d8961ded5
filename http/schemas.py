"""The body of an email: one pydantic model validates it and describes it in OpenAPI.

What one value may be is in `fields.py`; rules over several fields are in
`new_email.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ..domain.email import Delivery, Priority
from .fields import (
    ContentId,
    CountedAttachments,
    CountedTags,
    FileContent,
    FileName,
    Headers,
    Mailbox,
    Mailboxes,
    MediaType,
    Metadata,
    ProviderName,
    ScheduledAt,
    Subject,
    TagPart,
    Text,
)

#: Most characters of a name that an answer repeats.
_LONGEST_NAME = 64


class TagIn(BaseModel):
    """A label of the client's."""

    model_config = ConfigDict(extra="forbid", title="Tag")

    name: TagPart
    value: TagPart | None = Field(None, description="A tag may be a name alone.")


class AttachmentIn(BaseModel):
    """A file; with a ``content_id`` it is inline, for ``cid:`` in the HTML."""

    model_config = ConfigDict(extra="forbid", title="Attachment")

    filename: FileName
    content: FileContent
    content_type: MediaType | None = Field(
        None,
        description="Guessed from the file's name if absent.",
    )
    content_id: ContentId | None = None
    inline_content_id: ContentId | None = Field(
        None,
        description="The older name of `content_id`.",
        deprecated=True,
    )


def _given(name: str) -> dict[str, JsonValue]:
    """Return the schema of an object in which this is there and says something."""
    text: dict[str, JsonValue] = {"type": "string", "minLength": 1}
    return {"required": [name], "properties": {name: text}}


class EmailIn(BaseModel):
    """An email to be sent. A field that is null counts as absent."""

    model_config = ConfigDict(
        extra="forbid",
        title="NewEmail",
        json_schema_extra={
            "allOf": [
                {"anyOf": [_given(name) for name in names]}
                for names in (("subject", "title"), ("text", "html", "content"))
            ],
        },
    )

    sender: Mailbox | None = Field(
        None,
        alias="from",
        description="Whom the email is from; the service may have a default.",
    )
    to: Annotated[Mailboxes, Field(min_length=1)]
    cc: Mailboxes = Field(default_factory=list)
    bcc: Mailboxes = Field(default_factory=list)
    reply_to: Mailboxes = Field(default_factory=list)
    subject: Subject | None = None
    text: Text | None = Field(
        None,
        description="The plain body; `text`, `html` or both.",
    )
    html: Text | None = Field(
        None,
        description="The HTML body; `text`, `html` or both.",
    )
    headers: Headers = Field(default_factory=dict, description="Headers of your own.")
    attachments: Annotated[
        list[AttachmentIn],
        CountedAttachments,
    ] = Field(default_factory=list)
    tags: Annotated[list[TagIn], CountedTags] = Field(default_factory=list)
    metadata: Metadata = Field(
        default_factory=dict,
        description="Kept with the email and shown again; the values are strings.",
    )
    scheduled_at: ScheduledAt | None = Field(
        None,
        description=(
            "Not before then: ISO 8601 with an offset, or `in N seconds`, `minutes`, "
            "`hours`, `days`. A time that has passed means now."
        ),
    )
    delivery: Delivery = Field(
        Delivery.AT_LEAST_ONCE,
        description=(
            "What to do when nobody can know whether an attempt went out: send again, "
            "or hold the email."
        ),
    )
    provider: ProviderName | None = Field(
        None,
        description="The only provider that may carry it.",
    )
    priority: Priority = Field(
        Priority.NORMAL,
        description="Which email goes first when there is a backlog.",
    )
    title: Subject | None = Field(
        None,
        description="`subject` as an older client says it.",
        deprecated=True,
    )
    content: Text | None = Field(
        None,
        description="`text` as an older client says it.",
        deprecated=True,
    )


def field_name(location: tuple[int | str, ...], *, renamed: Mapping[str, str]) -> str:
    """Return the name of a field as its client wrote it.

    Args:
        location: Pydantic's path to the value.
        renamed: Names that were replaced before validation, by their new path.

    Examples:
        >>> field_name(("attachments", 1, "content"), renamed={})
        'attachments[1].content'
    """
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            name = part if len(part) <= _LONGEST_NAME else f"{part[:_LONGEST_NAME]}..."
            path += f".{name}" if path else name
    return renamed.get(path, path)


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a model's fields as clients write them."""
    return tuple(info.alias or name for name, info in model.model_fields.items())
