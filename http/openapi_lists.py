"""Lists of emails and orders about one, as the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Iterable

from ..domain.archive import LARGEST_PAGE
from ..domain.email import State
from .examples_orders import (
    CHANGED,
    DEAD_LIST,
    FORCES,
    LIST,
    REPLAYED,
    REPLAYS,
    RESCHEDULES,
)
from .list_answers import ChangedAnswer, EmailListAnswer, ReplayAnswer
from .openapi_parts import (
    EMAIL_ID,
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
from .orders import ForceIn, ReplayIn, RescheduleIn
from .queries import LONGEST_WORD

_CURSOR: Part = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TIME: Part = {"type": "string", "format": "date-time"}
_WORD: Part = {"type": "string", "minLength": 1, "maxLength": LONGEST_WORD}

_PAGING: tuple[tuple[str, str, Part], ...] = (
    (
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": 20},
    ),
    ("after", "The id of the last email of the page before this one.", _CURSOR),
    (
        "before",
        "The id of the first email of the page after this one; not with `after`.",
        _CURSOR,
    ),
)

_FILTERS: tuple[tuple[str, str, Part], ...] = (
    (
        "state",
        "Only in this state. One of `state`, `to`, `tag` and `provider` at a time.",
        {"type": "string", "enum": [state.value for state in State]},
    ),
    (
        "to",
        "Only with this recipient, of any kind: an address.",
        {"type": "string"},
    ),
    (
        "tag",
        "Only with this tag: `NAME` or `NAME=VALUE`.",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}(=[A-Za-z0-9_-]{0,256})?$"},
    ),
    ("provider", "Only with an attempt at this provider.", _WORD),
    ("created_after", "Accepted then or later; with any other filter.", _TIME),
    ("created_before", "Accepted before; with any other filter.", _TIME),
)

_OF_DEAD_LETTERS: tuple[tuple[str, str, Part], ...] = (
    ("reason", "The email's `reason`, or the `code` of a refused recipient.", _WORD),
    ("provider", "Only with an attempt there, or pinned to it.", _WORD),
    ("since", "Dead since then or later.", _TIME),
)


def _describe(_options: Options) -> Paths:
    # The older service had the singular.
    return {
        "/api/emails": {"get": _list("listEmails")},
        "/api/emails/{email_id}": {
            "patch": _move("moveEmail"),
            "delete": _erase("eraseEmail"),
        },
        "/api/email": {"get": _list("listEmailsOlder")},
        "/api/email/{email_id}": {
            "patch": _move("moveEmailOlder"),
            "delete": _erase("eraseEmailOlder"),
        },
        "/api/emails/{email_id}/cancel": {"post": _cancel()},
        "/api/emails/{email_id}/retry": {"post": _retry()},
    }


def _describe_dead_letters(_options: Options) -> Paths:
    return {
        "/api/dead-letters": {"get": _dead_letters()},
        "/api/dead-letters/replay": {"post": _replay()},
    }


LISTS = Family(
    name="Lists and orders",
    description="Find emails; move, cancel, retry or erase one.",
    asked=(RescheduleIn, ForceIn),
    answered=(EmailListAnswer, ChangedAnswer),
    describe=_describe,
)

DEAD_LETTERS = Family(
    name="Dead letters",
    description="Emails that need a human.",
    asked=(ReplayIn,),
    answered=(EmailListAnswer, ReplayAnswer),
    describe=_describe_dead_letters,
)


def _parameters(described: Iterable[tuple[str, str, Part]]) -> list[Part | str]:
    return [
        {"name": name, "in": "query", "description": told, "schema": schema}
        for name, told, schema in described
    ]


def _list(name: str) -> Part:
    return operation(
        name,
        "List emails",
        scope="read",
        parameters=_parameters((*_PAGING, *_FILTERS)),
        answers={
            200: answer("A page of emails, the newest first.", EmailListAnswer, LIST),
            **errors(400),
        },
    )


def _move(name: str) -> Part:
    return operation(
        name,
        "Move a scheduled email to another time",
        scope="send",
        parameters=[EMAIL_ID],
        body=body_of(RescheduleIn, RESCHEDULES),
        answers={
            200: answer("It is moved.", ChangedAnswer, CHANGED),
            409: error(409, "It is not scheduled, or its time has come."),
            **errors(404),
        },
    )


def _erase(name: str) -> Part:
    return operation(
        name,
        "Erase what an email said, and to whom",
        scope="admin",
        parameters=[EMAIL_ID],
        answers={
            204: {"description": "It is erased; its record stays."},
            409: error(409, "It is not final: it still needs its content."),
            **errors(404),
        },
    )


def _cancel() -> Part:
    return operation(
        "cancelEmail",
        "Cancel an email",
        scope="send",
        parameters=[EMAIL_ID],
        body=body_of(ForceIn, FORCES, required=False),
        answers={
            200: answer("It is cancelled.", ChangedAnswer, CHANGED),
            409: error(
                409,
                "It is being sent, settled, or it may be out and `force` was not said.",
            ),
            **errors(404),
        },
    )


def _retry() -> Part:
    return operation(
        "retryEmail",
        "Let a dead letter go again",
        scope="send",
        parameters=[EMAIL_ID],
        body=body_of(ForceIn, FORCES, required=False),
        answers={
            202: answer("It is queued again.", ChangedAnswer, CHANGED),
            409: error(
                409,
                "It is no dead letter, its content is erased, or it may be out and "
                "`force` was not said.",
            ),
            **errors(404),
        },
    )


def _dead_letters() -> Part:
    listed = answer("A page of them, newest email first.", EmailListAnswer, DEAD_LIST)
    return operation(
        "listDeadLetters",
        "List dead letters",
        scope="read",
        parameters=_parameters((*_PAGING, *_OF_DEAD_LETTERS)),
        answers={200: listed, **errors(400)},
    )


def _replay() -> Part:
    return operation(
        "replayDeadLetters",
        "Let dead letters go again, the oldest first",
        scope="admin",
        body=body_of(ReplayIn, REPLAYS, required=False),
        answers={200: answer("What it came to.", ReplayAnswer, REPLAYED)},
    )
