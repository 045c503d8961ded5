"""`postroom show`, `list`, `retry` and `mark-sent`: what became of emails."""

from __future__ import annotations

from typing import Annotated

import typer

from ..domain.archive import LARGEST_PAGE, Page, Query
from ..domain.email import (
    Attempt,
    ConfirmedDuplicate,
    Email,
    PossibleDuplicate,
    State,
)
from . import instants
from .exits import answering
from .listing import put_list, why
from .operating import AsJson, Operating, services
from .output import instant, put_fields, put_json, put_table

app = typer.Typer()

EmailId = Annotated[str, typer.Argument(metavar="ID", help="The email's id.")]


@app.command()
def show(context: typer.Context, email_id: EmailId, *, as_json: AsJson = False) -> None:
    """Show one email: its state, its recipients and every attempt."""
    with answering():
        given = services(context)
        email = given.find.one(email_id)
        if as_json:
            put_json(given.describe(email))
        else:
            _put_email(email)


@app.command("list")
def list_command(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    *,
    state: Annotated[
        State | None, typer.Option(help="Only emails in this state.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Only with this recipient: a whole address.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="NAME[=VALUE]", help="Only with this tag.")
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(help="Only with an attempt there, or pinned to or parked for it."),
    ] = None,
    created_after: Annotated[
        str | None, typer.Option(help=f"Accepted then or later: {instants.HOW}")
    ] = None,
    created_before: Annotated[
        str | None, typer.Option(help=f"Accepted before: {instants.HOW}")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE)] = 20,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on after this email.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="Go back before this email.")
    ] = None,
    recipients: Annotated[
        bool, typer.Option("--recipients", help="Show them too, shortened.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List emails, newest first.

    A search has five seconds: give a time where there are millions of emails.
    """
    with answering():
        given = services(context)
        name, has_value, value = (tag or "").partition("=")
        query = Query(
            state=state,
            to=to,
            tag=name or None,
            tag_value=value if has_value else None,
            provider=provider,
            created_after=instants.read_instant(
                "--created-after", created_after, clock=given.clock
            ),
            created_before=instants.read_instant(
                "--created-before", created_before, clock=given.clock
            ),
        )
        found = given.find(query, Page(limit=limit, after=after, before=before))
        put_list(
            found.emails,
            has_more=found.has_more,
            describe=given.describe,
            recipients=recipients,
            as_json=as_json,
        )


@app.command()
def retry(
    context: typer.Context,
    email_id: EmailId,
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also one that may be out: it may come twice."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let one dead letter, or with --force one held email, go again."""
    with answering():
        given = services(context)
        email = given.redrive(email_id, force=force)
        _put_settled(given, email, as_json=as_json)


@app.command("mark-sent")
def mark_sent(
    context: typer.Context, email_id: EmailId, *, as_json: AsJson = False
) -> None:
    """Settle one email that may be out as sent: you found it at the provider."""
    with answering():
        given = services(context)
        _put_settled(given, given.mark_sent(email_id), as_json=as_json)


def _put_settled(given: Operating, email: Email, *, as_json: bool) -> None:
    if as_json:
        put_json(given.describe(email))
    else:
        put_fields([("id", email.email_id), ("state", email.state)])


def _put_email(email: Email) -> None:
    content = email.content
    put_fields(
        [
            ("id", email.email_id),
            ("state", email.state),
            ("why", why(email)),
            ("detail", email.reason_detail),
            ("created_at", instant(email.created_at)),
            ("scheduled_at", instant(email.scheduled_at)),
            ("not_before", instant(email.not_before)),
            ("due_at", instant(email.due_at)),
            ("sent_at", instant(email.sent_at)),
            ("dead_at", instant(email.dead_at)),
            ("redriven_at", instant(email.redriven_at)),
            ("erased_at", instant(email.erased_at)),
            ("delivery", email.delivery),
            ("provider", email.provider),
            ("from", content.sender.addr_spec if content else None),
            ("subject", content.subject if content else None),
        ]
    )
    typer.echo("\nrecipients")
    put_table(
        ("kind", "address", "state", "code"),
        [(r.kind, r.addr_spec, r.state, r.code) for r in email.recipients],
    )
    if email.attempts:
        _put_attempts(email)


def _put_attempts(email: Email) -> None:
    typer.echo("\nattempts")
    put_table(
        ("no", "provider", "started_at", "outcome", "code", "latency_ms", "detail"),
        [_attempt_row(attempt) for attempt in email.attempts],
    )
    for attempt in email.attempts:
        if attempt.refused:
            typer.echo(_turned_away(email, attempt))
    for duplicate in email.possible_duplicates:
        later, earlier = _numbers(email, duplicate)
        may = f"{earlier} may have gone out"
        typer.echo(f"attempt {later} may be a second copy: {may}")
    for copy in email.confirmed_duplicates:
        later, earlier = _numbers(email, copy)
        typer.echo(f"attempt {later} is a second copy: {earlier} went out too")


def _attempt_row(attempt: Attempt) -> tuple[object, ...]:
    outcome = f"{attempt.outcome} {attempt.kind}" if attempt.kind else attempt.outcome
    return (
        attempt.no,
        attempt.provider,
        instant(attempt.started_at),
        outcome if attempt.ended_at else "in hand",
        attempt.code,
        attempt.latency_ms,
        attempt.detail,
    )


def _turned_away(email: Email, attempt: Attempt) -> str:
    named = (
        email.recipients[n].addr_spec or f"recipient {n + 1}" for n in attempt.refused
    )
    return f"attempt {attempt.no} was refused for {', '.join(named)}"


def _numbers(
    email: Email, duplicate: PossibleDuplicate | ConfirmedDuplicate
) -> tuple[str, str]:
    """Return the number of the later attempt, and those of the earlier ones."""
    numbers = {attempt.id: str(attempt.no) for attempt in email.attempts}
    earlier = ", ".join(numbers.get(each, "?") for each in duplicate.earlier)
    return numbers.get(duplicate.attempt_id, "?"), earlier
