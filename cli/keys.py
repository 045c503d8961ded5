"""`postroom keys`: make a key for a client, list all keys, revoke one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..domain.access import DEFAULT_OWNER, ApiKey
from ..services.keys import KeyOrder
from .exits import answering, say
from .operating import AsJson, services
from .output import exact_instant, instant, put_fields, put_json, put_table

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose key it is, in your own words.")]
Scopes = Annotated[
    str, typer.Option(help="What it is for, with commas: send, read, admin (all).")
]
Owner = Annotated[str, typer.Option(help="Whose emails it makes and sees.")]
Domains = Annotated[
    str,
    typer.Option(
        "--from", help="The only domains to send from, with commas. Absent: any."
    ),
]
Test = Annotated[
    bool, typer.Option("--test", help="What it sends goes to the sandbox, never out.")
]
PerSecond = Annotated[
    float | None,
    typer.Option("--rate", help="Requests a second. Absent: POSTROOM_RATE_PER_S."),
]
Burst = Annotated[
    int | None, typer.Option(help="Requests at once. Absent: twice the rate.")
]

_COLUMNS = (
    "id",
    "name",
    "owner",
    "scopes",
    "from",
    "test",
    "rate",
    "created_at",
    "last_used_at",
    "revoked_at",
)


@app.command()
def create(  # noqa: PLR0913 - each is an option that operators type
    context: typer.Context,
    name: Name,
    *,
    scopes: Scopes = "send,read",
    owner: Owner = DEFAULT_OWNER,
    domains: Domains = "",
    test: Test = False,
    rate: PerSecond = None,
    burst: Burst = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown now, and never again."""
    order = KeyOrder(
        name=name,
        scopes=_words(scopes),
        owner=owner,
        domains=_words(domains),
        is_test=test,
        rate=rate,
        burst=burst,
    )
    with answering():
        key, secret = services(context).create_key(order)
        if as_json:
            put_json({**_document(key), "key": secret})
            return
        put_fields([*zip(_COLUMNS, _row(key), strict=True), ("key", secret)])
        say("Keep the key now: it is stored nowhere, and not shown again.")


@app.command("list")
def list_command(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show all keys, revoked ones too, without their secrets."""
    with answering():
        keys = services(context).list_keys()
        if as_json:
            data = [_document(key) for key in keys]
            put_json({"object": "list", "has_more": False, "data": data})
        else:
            put_table(_COLUMNS, [_row(key) for key in keys])


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The id, as `keys list` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take a key out of use for good, in all processes within 10 s."""
    with answering():
        key = services(context).revoke_key(key_id)
        if as_json:
            put_json(_document(key))
        else:
            put_table(_COLUMNS, [_row(key)])


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _document(key: ApiKey) -> dict[str, Any]:
    rate = key.rate
    return {
        "object": "api_key",
        "id": key.key_id,
        "name": key.name,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "from_domains": sorted(key.from_domains),
        "test": key.is_test,
        "rate": None if rate is None else {"per_s": rate.per_s, "burst": rate.burst},
        "created_at": exact_instant(key.created_at),
        "last_used_at": exact_instant(key.last_used_at),
        "revoked_at": exact_instant(key.revoked_at),
    }


def _row(key: ApiKey) -> tuple[object, ...]:
    return (
        key.key_id,
        key.name,
        key.owner,
        ",".join(sorted(key.scopes)),
        ",".join(sorted(key.from_domains)),
        "yes" if key.is_test else "no",
        f"{key.rate.per_s:g}/s, {key.rate.burst} at once" if key.rate else None,
        instant(key.created_at),
        instant(key.last_used_at),
        instant(key.revoked_at),
    )
