"""From the JSON of a request to a `NewEmail`, or to all that is wrong with it.

Three steps, each of which adds its faults, so that one answer has them all: names are
put right (null, older names, fields to come), pydantic looks at each value, and rules
over several fields look at the JSON itself, whatever pydantic said of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..domain.acceptance import NewEmail
from ..domain.email import (
    Address,
    Attachment,
    Content,
    Recipient,
    RecipientKind,
    Tag,
)
from . import file_checks
from .errors import validation_error
from .faults import Fault, FaultCode
from .fields import Context
from .names import Draft, put_names_right
from .schemas import EmailIn, field_name, names_of
from .time_checks import delay

#: Most names in one JSON object of a request; a sane one has a fifth of that. Each
#: unknown name costs a fault, and 15 MB hold a million names.
_MOST_NAMES = 100

_FIELDS = names_of(EmailIn)

_TYPE_NAMES: Mapping[str, str] = {
    "string_type": "must be a string",
    "list_type": "must be an array",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def read_email(
    raw: object,
    context: Context,
    *,
    owner: str,
    default_from: Address | None = None,
) -> NewEmail:
    """Return the email that a request asks for.

    Args:
        raw: The parsed JSON.
        context: The limits, the time and the providers.
        owner: Whose email it is.
        default_from: The sender if the request names none.

    Raises:
        ApiError: 400 with every fault of the request (up to `MOST_FAULTS`).
    """
    if not isinstance(raw, dict):
        raise validation_error(
            [_fault("", FaultCode.WRONG_TYPE, "the body must be a JSON object")],
        )
    _refuse_floods(raw)
    draft = put_names_right(raw)
    parsed = _validate(draft, context)
    _check_presence(draft, default_from)
    _check_sums(draft, context)
    if draft.faults or parsed is None:
        raise validation_error(draft.faults)
    new = _new_email(parsed, owner=owner, default_from=default_from)
    when = draft.json.get("scheduled_at")
    # What a delay comes to is another instant each time, and the request is the same.
    return replace(new, delay=delay(when)) if isinstance(when, str) else new


def _fault(where: str, code: FaultCode, message: str) -> Fault:
    return Fault(field=where, code=code, message=message)


def _refuse_floods(raw: dict[str, Any]) -> None:
    """Refuse an object of very many names before each of them costs a fault."""
    parts = [("", raw)]
    for name in ("attachments", "tags"):
        items = raw.get(name)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                parts.append((f"{name}[{index}]", item))
    for where, json in parts:
        if len(json) > _MOST_NAMES:
            message = f"must be at most {_MOST_NAMES} fields, got {len(json)}"
            raise validation_error([_fault(where, FaultCode.TOO_MANY, message)])


def _validate(draft: Draft, context: Context) -> EmailIn | None:
    try:
        return EmailIn.model_validate(draft.json, context=context)
    except ValidationError as ex:
        # Without the input: it would be copied for each error.
        found = ex.errors(include_url=False, include_context=True, include_input=False)
        draft.faults += [translated(error, draft) for error in found]
        return None


def translated(error: ErrorDetails, draft: Draft) -> Fault:
    """Say one of pydantic's findings in our words."""
    kind = error["type"]
    match kind:
        case "missing":
            code, message = FaultCode.MISSING, "is required"
        case "extra_forbidden":
            code, message = FaultCode.UNKNOWN_FIELD, _unknown(error["loc"])
        case "too_short":
            code, message = FaultCode.EMPTY, "must not be empty"
        case "enum":
            expected = error.get("ctx", {}).get("expected", "one of the known words")
            code, message = FaultCode.NOT_A_CHOICE, f"must be {expected}"
        case _ if kind in _TYPE_NAMES:
            code, message = FaultCode.WRONG_TYPE, _TYPE_NAMES[kind]
        case _ if kind in set(FaultCode):
            code, message = FaultCode(kind), error["msg"]
        case _:
            code, message = FaultCode.INVALID, "is not valid"
    where = field_name(error["loc"], renamed=draft.renamed)
    return Fault(field=where, code=code, message=message)


def _unknown(location: tuple[int | str, ...]) -> str:
    name = str(location[-1])
    near = difflib.get_close_matches(name[:64].lower(), _FIELDS, n=1)
    if len(location) == 1 and near:
        return f"is not a field of an email; did you mean `{near[0]}`?"
    return "is not a known field"


def _check_presence(draft: Draft, default_from: Address | None) -> None:
    if "from" not in draft.json and default_from is None:
        draft.blame("from", FaultCode.MISSING, "is required: there is no default")
    if "subject" not in draft.json:
        draft.blame("subject", FaultCode.MISSING, "is required")
    if "text" not in draft.json and "html" not in draft.json:
        draft.blame("text", FaultCode.MISSING, "is required, or `html`, or both")


def _check_sums(draft: Draft, context: Context) -> None:
    limits = context.limits
    lists = [draft.json.get(kind.value) for kind in RecipientKind]
    count = sum(len(one) if isinstance(one, list) else 1 for one in lists if one)
    if count > limits.recipients:
        draft.blame(
            "to",
            FaultCode.TOO_MANY,
            f"`to`, `cc` and `bcc` must be at most {limits.recipients} addresses "
            f"together, got {count}",
        )
    size = sum(_sizes(draft.json))
    if size > limits.mail_bytes:
        draft.blame(
            "attachments" if "attachments" in draft.json else "html",
            FaultCode.TOO_LARGE,
            f"subject, bodies, headers and decoded attachments must be at most "
            f"{limits.mail_bytes} bytes together, got {size}",
        )


def _sizes(json: dict[str, Any]) -> Iterator[int]:
    """Give the decoded sizes of what makes an email large."""
    for name in ("subject", "text", "html"):
        if isinstance(value := json.get(name), str):
            yield len(value.encode())
    if isinstance(headers := json.get("headers"), dict):
        yield sum(len(f"{name}{value}".encode()) for name, value in headers.items())
    attachments = json.get("attachments")
    for item in attachments if isinstance(attachments, list) else ():
        if isinstance(item, dict):
            yield file_checks.decoded_size(item.get("content"))


def _new_email(
    parsed: EmailIn,
    *,
    owner: str,
    default_from: Address | None,
) -> NewEmail:
    sender = parsed.sender or default_from
    if sender is None or parsed.subject is None:
        raise AssertionError("presence was checked")
    return NewEmail(
        owner=owner,
        content=Content(
            sender=sender,
            reply_to=tuple(parsed.reply_to),
            subject=parsed.subject,
            text=parsed.text,
            html=parsed.html,
            headers=parsed.headers,
            tags=tuple(
                Tag(name=tag.name, value=tag.value or "") for tag in parsed.tags
            ),
            metadata=parsed.metadata,
            attachments=tuple(
                Attachment(
                    filename=one.filename,
                    content=one.content,
                    content_type=one.content_type
                    or file_checks.guessed_type(one.filename),
                    content_id=one.content_id,
                )
                for one in parsed.attachments
            ),
        ),
        recipients=_recipients(parsed),
        delivery=parsed.delivery,
        provider=parsed.provider,
        priority=parsed.priority,
        scheduled_at=parsed.scheduled_at,
    )


def _recipients(parsed: EmailIn) -> tuple[Recipient, ...]:
    """Return whom it goes to, each address once: the first of to, cc, bcc counts.

    Providers refuse an email that names an address twice, and nobody wants it twice.
    """
    recipients: dict[str, Recipient] = {}
    for kind, addresses in (
        (RecipientKind.TO, parsed.to),
        (RecipientKind.CC, parsed.cc),
        (RecipientKind.BCC, parsed.bcc),
    ):
        for address in addresses:
            recipients.setdefault(
                address.addr_spec.lower(),
                Recipient(
                    kind=kind,
                    addr_spec=address.addr_spec,
                    display_name=address.display_name,
                ),
            )
    return tuple(recipients.values())
