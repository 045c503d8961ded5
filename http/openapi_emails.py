"""The emails, as the OpenAPI document describes them."""

from __future__ import annotations

from ..domain.idempotency import LONGEST_KEY
from .answers import AcceptedAnswer, EmailAnswer
from .batch import HEADER as VALIDATION
from .batch import MOST_EMAILS, Validation
from .batch_answers import BatchAnswer
from .examples import (
    ACCEPTED,
    BATCH,
    EMAIL,
    IDEMPOTENCY_CONFLICT,
    NEW_BATCH,
    NEW_EMAILS,
)
from .idempotency import HEADER as KEY
from .idempotency import REPLAYED
from .openapi_models import OF_BATCH
from .openapi_parts import (
    EMAIL_ID,
    SCHEMA_REF,
    Family,
    Part,
    Paths,
    answer,
    body_of,
    error,
    errors,
    operation,
)
from .options import Options
from .schemas import EmailIn

_KEY: Part = {
    "name": KEY,
    "in": "header",
    "description": (
        "A name of your own for this request, such as a UUID. A request that is "
        "repeated under its key is accepted once, and answered as the first time. A "
        "key is kept for 24 hours at least, and until its emails are final."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}

_VALIDATION: Part = {
    "name": VALIDATION,
    "in": "header",
    "description": (
        "`strict`: one email that is not valid refuses all. `permissive`: the others "
        "are accepted, and `errors` says why not that one."
    ),
    "schema": {
        "type": "string",
        "enum": [word.value for word in Validation],
        "default": Validation.STRICT.value,
    },
}

_REPLAYED: dict[str, Part] = {
    REPLAYED: {
        "description": "`true` if the request had been accepted before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}

#: Errors that only a request with a key may get.
_OF_KEYS: dict[int, Part | str] = {
    409: error(
        409,
        "`invalid_idempotent_request`: the key came with another request before. "
        "`concurrent_idempotent_requests`: a request with the key is still in hand.",
        IDEMPOTENCY_CONFLICT,
    ),
    **errors(501),
}


def _describe(_options: Options) -> Paths:
    # The older service had the singular.
    return {
        "/api/emails": {"post": _send("sendEmail")},
        "/api/emails/batch": {"post": _send_batch("sendBatch")},
        "/api/emails/{email_id}": {"get": _get("getEmail")},
        "/api/email": {"post": _send("sendEmailOlder")},
        "/api/email/batch": {"post": _send_batch("sendBatchOlder")},
        "/api/email/{email_id}": {"get": _get("getEmailOlder")},
    }


EMAILS = Family(
    name="Emails",
    description="Send one or many, look one up.",
    asked=(EmailIn,),
    answered=(AcceptedAnswer, BatchAnswer, EmailAnswer),
    describe=_describe,
)

_LOCATION: dict[str, Part] = {
    "Location": {
        "description": "Where the email is shown.",
        "schema": {"type": "string"},
    },
}


def _send(name: str) -> Part:
    accepted = answer(
        "It is stored and will be sent.",
        AcceptedAnswer,
        ACCEPTED,
        headers=_LOCATION | _REPLAYED,
    )
    return operation(
        name,
        "Send an email",
        scope="send",
        parameters=[_KEY],
        body=body_of(EmailIn, NEW_EMAILS),
        answers={201: accepted, **_OF_KEYS},
    )


def _send_batch(name: str) -> Part:
    accepted = answer(
        "They are stored and will be sent.", BatchAnswer, BATCH, headers=_REPLAYED
    )
    part = operation(
        name,
        "Send many emails",
        scope="send",
        parameters=[_KEY, _VALIDATION],
        body=_batch_body(),
        answers={200: accepted, **_OF_KEYS},
    )
    part["description"] = (
        "All are stored together. Each is of low priority unless it says otherwise, "
        "and none has attachments."
    )
    return part


def _batch_body() -> Part:
    emails = {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_EMAILS,
        "items": {"$ref": SCHEMA_REF.format(model=OF_BATCH)},
    }
    media = {"schema": emails, "example": NEW_BATCH}
    return {"required": True, "content": {"application/json": media}}


def _get(name: str) -> Part:
    return operation(
        name,
        "Show an email",
        scope="read",
        parameters=[EMAIL_ID],
        answers={
            200: answer("The email and its way.", EmailAnswer, EMAIL),
            **errors(404),
        },
    )
