"""`postroom providers`: how each provider does, and orders to its breaker."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..services.providers import ProviderStatus
from .exits import answering
from .operating import AsJson, services
from .output import exact_instant, instant, put_json, put_table

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="As in POSTROOM_PROVIDERS.")]

_COLUMNS = (
    "name",
    "breaker",
    "drained",
    "retry_at",
    "resume_at",
    "calls",
    "failures",
    "rate_per_s",
    "p50_ms",
    "p95_ms",
    "queued",
    "parked",
)


@app.command("list")
def list_command(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show each configured provider, the one to prefer first."""
    with answering():
        statuses = services(context).providers()
        if as_json:
            data = [_document(status) for status in statuses]
            put_json({"object": "list", "has_more": False, "data": data})
        else:
            put_table(_COLUMNS, [_row(status) for status in statuses])


@app.command()
def trip(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Open its breaker: email goes elsewhere until a probe succeeds."""
    with answering():
        _put_one(services(context).providers.trip(name), as_json=as_json)


@app.command()
def reset(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Close its breaker, end its pause, and let its parked email go."""
    with answering():
        _put_one(services(context).providers.reset(name), as_json=as_json)


@app.command()
def drain(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Give it no more email until it is resumed."""
    with answering():
        _put_one(services(context).providers.drain(name), as_json=as_json)


@app.command()
def resume(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """End a drain or a pause, and let its parked email go."""
    with answering():
        _put_one(services(context).providers.resume(name), as_json=as_json)


@app.command()
def forget(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Throw away the queued messages of one that is no longer in POSTROOM_PROVIDERS."""
    with answering():
        count = services(context).providers.forget(name)
        if as_json:
            put_json({"object": "forgotten", "name": name, "messages": count})
        else:
            put_table(("name", "messages"), [(name, count)])


def _put_one(status: ProviderStatus, *, as_json: bool) -> None:
    if as_json:
        put_json(_document(status))
    else:
        put_table(_COLUMNS, [_row(status)])


def _document(status: ProviderStatus) -> dict[str, Any]:
    health = status.view.health
    return {
        "object": "provider",
        "name": status.name,
        "breaker": health.state.value,
        "drained": health.drained,
        "retry_at": exact_instant(health.retry_at),
        "resume_at": exact_instant(health.resume_at),
        "calls": status.view.calls,
        "failures": status.view.failures,
        "rate_per_s": status.view.rate_per_s,
        "p50_ms": status.view.p50_ms,
        "p95_ms": status.view.p95_ms,
        "refuses_from": sorted(health.refuses_from),
        "queued": status.queued,
        "parked": status.parked,
    }


def _row(status: ProviderStatus) -> tuple[object, ...]:
    health = status.view.health
    return (
        status.name,
        health.state,
        "yes" if health.drained else "no",
        instant(health.retry_at),
        instant(health.resume_at),
        status.view.calls,
        status.view.failures,
        f"{status.view.rate_per_s:.1f}",
        status.view.p50_ms,
        status.view.p95_ms,
        status.queued,
        status.parked,
    )
