"""`postroom audit`: is all email that was accepted still there?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..domain.conservation import Account, Condition, Contradiction, Position
from ..domain.errors import SearchTimeoutError
from ..services.audit import HOURS
from .exits import ExitCode, answering, say
from .operating import AsJson, services
from .output import exact_instant, instant, put_fields, put_json, put_table

app = typer.Typer()

#: Emails that contradict themselves and are named; one says that something is wrong.
MOST_NAMED = 20

_COLUMNS = (
    "hour",
    "accepted",
    "final",
    "open",
    "held",
    "astray",
    "missing",
    "uncounted",
)

_Contradictions = Sequence[tuple[str, Contradiction]]


@app.command()
def audit(
    context: typer.Context,
    *,
    hours: Annotated[
        int, typer.Option(help="How many, the present one included.")
    ] = HOURS,
    as_json: AsJson = False,
) -> None:
    """Compare what was accepted with what is there, by the hour.

    Exit code 1 if an email is missing or astray or contradicts itself.
    """
    with answering():
        check = services(context).audit
        position = check(hours=hours)
        if position.accounts is None or position.groups is None:
            raise SearchTimeoutError("there is too much email to account for in time")
        found = check.contradictions(hours=hours, limit=MOST_NAMED)
    if as_json:
        put_json(_document(position, position.accounts, found))
    else:
        _put(position, position.accounts, found)
    _judge(position.accounts, position, found)


def _judge(
    accounts: Sequence[Account], position: Position, found: _Contradictions
) -> None:
    """Say on standard error what broke the conservation, and end with its code.

    Raises:
        Exit: Something did.
    """
    for account in accounts:
        if account.missing:
            told = f"{account.missing} emails accepted in the hour"
            say(f"postroom: {told} of {instant(account.hour)} are missing")
    if astray := position.count(Condition.ASTRAY):
        say(f"postroom: {astray} emails are astray: nothing will look at them again")
    if found:
        say("postroom: emails contradict themselves, see above")
    if astray or found or position.gap:
        raise typer.Exit(ExitCode.FAILED)


def _put(
    position: Position, accounts: Sequence[Account], found: _Contradictions
) -> None:
    put_table(_COLUMNS, [_row(a) for a in accounts if a.stored or a.accepted])
    put_fields(
        [
            ("gap", position.gap),
            ("open", position.count(Condition.OPEN)),
            ("held", position.count(Condition.HELD)),
            ("astray", position.count(Condition.ASTRAY)),
            ("oldest_open_due_s", _seconds(position)),
        ]
    )
    if found:
        put_table(("email", "contradiction"), found)


def _row(account: Account) -> tuple[object, ...]:
    return (
        f"{account.hour:%Y-%m-%dT%HZ}",
        account.accepted,
        account.final,
        account.open,
        account.held,
        account.astray,
        account.missing,
        account.uncounted,
    )


def _seconds(position: Position) -> int | None:
    oldest = position.oldest_due
    return None if oldest is None else round(oldest.total_seconds())


def _document(
    position: Position, accounts: Sequence[Account], found: _Contradictions
) -> dict[str, Any]:
    return {
        "object": "audit",
        "gap": position.gap,
        "open": position.count(Condition.OPEN),
        "held": position.count(Condition.HELD),
        "astray": position.count(Condition.ASTRAY),
        "oldest_open_due_s": _seconds(position),
        "hours": [
            dict(zip(_COLUMNS, _row(account), strict=True))
            | {"hour": exact_instant(account.hour)}
            for account in accounts
        ],
        "contradictions": [
            {"id": email_id, "contradiction": contradiction.value}
            for email_id, contradiction in found
        ],
    }
