"""The bodies of orders: small, mostly optional, checked as an email's is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

import falcon
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from . import checks, queries
from .body import read_json, read_optional_json
from .errors import ApiError, validation_error
from .faults import Fault, FaultCode
from .fields import Context, ScheduledAt
from .names import Draft, without_nulls
from .new_email import translated
from .schemas import names_of

#: Most dead letters of one replay: its client waits for it.
MOST_REPLAYED = 100

#: Most names of one body; no order has more than a few.
_MOST_NAMES = 100


def _whole(value: object) -> object:
    """Take 5.0 for 5: to JSON Schema they are one integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _count(number: int) -> int:
    if not 1 <= number <= MOST_REPLAYED:
        raise checks.fault(FaultCode.INVALID, f"must be 1 to {MOST_REPLAYED}")
    return number


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise checks.fault(FaultCode.WRONG_TYPE, "must be a time as a string")
    return queries.instant(value)


_Instant = Annotated[
    datetime,
    PlainValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RescheduleIn(_Order):
    """Another time for a scheduled email."""

    model_config = ConfigDict(title="Reschedule")

    scheduled_at: ScheduledAt = Field(
        description=(
            "ISO 8601 with an offset, or `in N seconds`, `minutes`, `hours`, `days`. "
            "A time that has passed means now."
        ),
    )
    id: str | None = Field(
        None,
        description="The address says which; Resend's SDK for Python repeats it here.",
    )


class NoneIn(_Order):
    """Nothing: the address says it all."""

    model_config = ConfigDict(title="None")


class ForceIn(_Order):
    """Whether to do it though nobody knows if the email is out already."""

    model_config = ConfigDict(title="Force")

    force: bool = Field(
        False,  # noqa: FBT003 - pydantic's default
        description="Also when an attempt may have gone out.",
    )


class ReplayIn(_Order):
    """Which dead letters to let go again. A field that is null counts as absent."""

    model_config = ConfigDict(title="Replay")

    reason: Annotated[str, AfterValidator(queries.word)] | None = Field(
        None,
        description="The email's `reason`, or the `code` of a refused recipient.",
    )
    provider: Annotated[str, AfterValidator(queries.word)] | None = Field(
        None,
        description="One with an attempt there, or pinned to it.",
    )
    since: _Instant | None = Field(None, description="Dead since then or later.")
    limit: Annotated[
        int,
        BeforeValidator(_whole),
        AfterValidator(_count),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_REPLAYED}),
    ] = MOST_REPLAYED
    dry_run: bool = Field(
        False,  # noqa: FBT003 - pydantic's default
        description="Only count them.",
    )


Order = TypeVar("Order", bound=_Order)


def read_order(
    req: falcon.Request, model: type[Order], context: Context, *, required: bool = False
) -> Order:
    """Return the order that a request's body gives.

    Args:
        req: A request whose body nobody has read.
        model: What it is.
        context: The limits and the time.
        required: Whether there must be a body.

    Raises:
        ApiError: As for the body of an email.
    """
    read = read_json if required else read_optional_json
    raw = read(req, limit=context.limits.body_bytes)
    if not isinstance(raw, dict):
        raise _wrong(FaultCode.WRONG_TYPE, "the body must be a JSON object")
    if len(raw) > _MOST_NAMES:
        many = f"must be at most {_MOST_NAMES} fields, got {len(raw)}"
        raise _wrong(FaultCode.TOO_MANY, many)
    draft = Draft(json=without_nulls(raw, names_of(model)))
    try:
        return model.model_validate(draft.json, context=context)
    except ValidationError as ex:
        found = ex.errors(include_url=False, include_context=True, include_input=False)
        raise validation_error([translated(each, draft) for each in found]) from None


def _wrong(code: FaultCode, message: str) -> ApiError:
    return validation_error([Fault(field="", code=code, message=message)])
