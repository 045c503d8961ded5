"""`postroom dead-letters`: emails that need a human, and letting them go again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..domain.archive import LARGEST_PAGE, DeadLetters
from ..services.replay import MOST, Replayed
from . import instants
from .exits import ExitCode, answering, say, stop
from .listing import put_list
from .operating import AsJson, Operating, services
from .output import put_fields, put_json

app = typer.Typer(no_args_is_help=True)

Reason = Annotated[
    str | None,
    typer.Option(help="Only with this reason, or this code of a refused recipient."),
]
Provider = Annotated[
    str | None, typer.Option(help="Only with an attempt there, or pinned to it.")
]
Since = Annotated[
    str | None, typer.Option(help=f"Only dead since then: {instants.HOW}")
]


@app.command("list")
def list_command(
    context: typer.Context,
    *,
    reason: Reason = None,
    provider: Provider = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE)] = 20,
    recipients: Annotated[
        bool, typer.Option("--recipients", help="Show them too, shortened.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the latest first."""
    with answering():
        given = services(context)
        query = _query(given, reason=reason, provider=provider, since=since)
        found = given.find.dead_letters(query, limit=limit)
        put_list(
            found.emails,
            has_more=found.has_more,
            when="dead_at",
            describe=given.describe,
            recipients=recipients,
            as_json=as_json,
        )


@app.command()
def replay(
    context: typer.Context,
    *,
    reason: Reason = None,
    provider: Provider = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST)] = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let dead letters go again, the oldest first.

    One that may be out already stays: `postroom retry ID --force` is for that.
    """
    with answering():
        given = services(context)
        query = _query(given, reason=reason, provider=provider, since=since)
        replayed = given.replay(query, limit=limit, dry_run=dry_run)
        _put(replayed, dry_run=dry_run, as_json=as_json)
        if replayed.stopped is not None:
            stop(f"MongoDB: {replayed.stopped}", ExitCode.AWAY)


def _query(
    given: Operating, *, reason: str | None, provider: str | None, since: str | None
) -> DeadLetters:
    when = instants.read_instant("--since", since, clock=given.clock)
    return DeadLetters(reason=reason, provider=provider, since=when)


def _put(replayed: Replayed, *, dry_run: bool, as_json: bool) -> None:
    for email_id, reason in replayed.refused.items():
        say(f"postroom: {email_id} stays: {reason}")
    if as_json:
        put_json(_document(replayed, dry_run=dry_run))
        return
    done = [] if dry_run else [("replayed", len(replayed.replayed))]
    more = [("more", "yes, ask again")] if replayed.has_more else []
    put_fields([("found", replayed.found), *done, *more])


def _document(replayed: Replayed, *, dry_run: bool) -> dict[str, Any]:
    return {
        "object": "replay",
        "dry_run": dry_run,
        "found": replayed.found,
        "has_more": replayed.has_more,
        "replayed": list(replayed.replayed),
        "refused": [
            {"id": email_id, "message": reason}
            for email_id, reason in replayed.refused.items()
        ],
    }
