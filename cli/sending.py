"""`postroom send`: one email through the same door as the API's, and its way."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ..domain.email import Attempt, Delivery, Email, State
from .exits import ExitCode, answering, say, stop
from .listing import why
from .operating import AsJson, Operating, services
from .output import instant, put_json, tame

app = typer.Typer()

#: Pause between two looks at an email, in seconds.
_PAUSE_S = 0.2


@app.command()
def send(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    *,
    to: Annotated[list[str], typer.Option(help="A recipient; may be repeated.")],
    subject: Annotated[str, typer.Option()],
    sender: Annotated[
        str | None, typer.Option("--from", help="Default: POSTROOM_DEFAULT_FROM.")
    ] = None,
    cc: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    bcc: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    text: Annotated[str | None, typer.Option(help="The plain body.")] = None,
    html: Annotated[str | None, typer.Option(help="The HTML body.")] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A file."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    delivery: Annotated[Delivery | None, typer.Option()] = None,
    provider: Annotated[
        str | None, typer.Option(help="The only one that may carry it.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help='ISO 8601 with an offset, or "in 5 minutes".'),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show its way until it is settled.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest wait, in seconds.")
    ] = 300,
    as_json: AsJson = False,
) -> None:
    """Accept one email, as POST /api/emails does, and print its id.

    With --wait the exit code is 0 only if it was sent.
    """
    body: dict[str, Any] = {
        "from": sender,
        "to": to,
        "cc": cc,
        "bcc": bcc,
        "subject": subject,
        "text": text,
        "html": html,
        "attachments": [_attachment(path) for path in attach or ()] or None,
        "tags": [_tag(each) for each in tag or ()] or None,
        "delivery": delivery.value if delivery else None,
        "provider": provider,
        "scheduled_at": at,
    }
    with answering():
        given = services(context)
        email = given.accept(body)
        if not as_json:
            typer.echo(email.email_id)
        if wait:
            email = _follow(given, email, timeout_s=timeout)
        if as_json:
            put_json(given.describe(email))
        if wait and email.state is not State.SENT:
            stop(f"it is {email.state}: {_more(email)}", ExitCode.FAILED)


def _more(email: Email) -> str:
    return tame(why(email)) or "not settled in time"


def _attachment(path: Path) -> dict[str, str]:
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"filename": path.name, "content": content}


def _tag(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    return {"name": name, "value": value}


def _follow(given: Operating, email: Email, *, timeout_s: float) -> Email:
    """Say what happens to an email until it is settled, or needs an operator."""
    give_up = time.monotonic() + timeout_s
    said: set[str] = set()
    while True:
        for step in steps(email):
            if step not in said:
                said.add(step)
                say(step)
        if email.is_final or email.is_held or time.monotonic() > give_up:
            return email
        time.sleep(_PAUSE_S)
        email = given.find.one(email.email_id)


def steps(email: Email) -> Iterator[str]:
    """Give what an email has been through, oldest first, for a terminal."""
    for attempt in email.attempts:
        yield f"attempt {attempt.no} at {attempt.provider}"
        if attempt.ended_at is not None:
            yield _came_to(attempt)
    until = instant(email.not_before) if email.waiting_for else None
    words = [email.state.value, why(email), f"until {until}" if until else ""]
    yield tame(", ".join(word for word in words if word))


def _came_to(attempt: Attempt) -> str:
    words = (attempt.outcome, attempt.kind, attempt.code, attempt.detail)
    told = " ".join(str(word) for word in words if word)
    return tame(f"attempt {attempt.no} at {attempt.provider}: {told}")
