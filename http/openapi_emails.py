"""The emails, as the OpenAPI document describes them."""

from __future__ import annotations

from .answers import AcceptedAnswer, EmailAnswer
from .examples import ACCEPTED, EMAIL, NEW_EMAILS
from .openapi_parts import (
    EMAIL_ID,
    Family,
    Part,
    Paths,
    answer,
    body_of,
    errors,
    operation,
)
from .options import Options
from .schemas import EmailIn


def _describe(_options: Options) -> Paths:
    # The older service had the singular.
    return {
        "/api/emails": {"post": _send("sendEmail")},
        "/api/emails/{email_id}": {"get": _get("getEmail")},
        "/api/email": {"post": _send("sendEmailOlder")},
        "/api/email/{email_id}": {"get": _get("getEmailOlder")},
    }


EMAILS = Family(
    name="Emails",
    description="Send one, look one up.",
    asked=(EmailIn,),
    answered=(AcceptedAnswer, EmailAnswer),
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
        headers=_LOCATION,
    )
    return operation(
        name,
        "Send an email",
        scope="send",
        body=body_of(EmailIn, NEW_EMAILS),
        answers={201: accepted},
    )


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
