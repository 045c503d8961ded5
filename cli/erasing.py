"""`postroom erase`: what was said to one address, gone for good."""

from __future__ import annotations

from typing import Annotated

import typer

from ..domain.address import parse_address
from ..domain.errors import InvalidAddressError
from .errors import InputError
from .exits import answering, say
from .operating import AsJson, services
from .output import put_fields, put_json

app = typer.Typer()


@app.command()
def erase(
    context: typer.Context,
    *,
    address: Annotated[
        str, typer.Option(help="A recipient of any kind: a whole address.")
    ],
    owner: Annotated[
        str | None, typer.Option(help="Only emails of this owner; else of all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what all final emails to an address said, and to whom.

    For all of their recipients; their records stay. Open emails still need what they
    say: they are counted, so that you can ask again.
    """
    with answering():
        erased = services(context).erase.all_to(
            _addr_spec(address), owner=owner, dry_run=dry_run
        )
        counts = {"erased": erased.erased, "still_open": erased.still_open}
        if as_json:
            put_json({"object": "erasure", "dry_run": dry_run, **counts})
            return
        if dry_run:
            say("nothing is erased: this was a dry run")
        put_fields(list(counts.items()))


def _addr_spec(address: str) -> str:
    try:
        return parse_address(address).addr_spec
    except InvalidAddressError as ex:
        raise InputError(f"--address: {ex}") from ex
