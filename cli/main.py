"""The `postroom` command: composition root of what operators type.

The only module here that imports adapters; see pyproject.toml, import-linter.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..adapters import logs
from ..adapters.settings import Settings
from ..adapters.wiring import build, start_checks
from ..domain.errors import PostroomError, SettingsError
from . import procfile
from .errors import StackError
from .stack import Stack, stopped_by_signals

app = typer.Typer(
    help="Postroom: takes email over HTTP and gets it to a provider.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a trace with local values would show secrets
)
stack = typer.Typer(help="The whole service on this machine, with its own stores.")
app.add_typer(stack, name="stack")


def main() -> None:
    """Run the command; what the console script calls."""
    app()


@app.callback()
def postroom(context: typer.Context) -> None:
    """Hand the environment to the commands: nothing below reads it."""
    context.obj = dict(os.environ)  # noqa: TID251  this is a composition root


@app.command("init")
def init_command(context: typer.Context) -> None:
    """Check the settings and prepare the stores; the Procfile's `release`."""
    try:
        init(context.obj)
    except (SettingsError, PostroomError) as ex:
        typer.echo(f"postroom: {ex}", err=True)
        raise typer.Exit(1) from ex


def init(environ: Mapping[str, str]) -> None:
    """Check the settings and prepare the stores. Safe to repeat.

    Args:
        environ: The process's environment.

    Raises:
        SettingsError: The environment is wrong, or Redis may evict messages.
        StoreUnavailableError: MongoDB did not take the indexes.
    """
    settings = Settings.from_env(environ)
    logs.configure(settings.env, secrets=settings.secrets)
    parts = build(settings)
    start_checks(parts)
    parts.store.ensure_indexes()


@stack.callback()
def stack_group() -> None:
    """Keep `run` a verb of its own, though it is the only one."""


@stack.command("run")
def stack_run(
    context: typer.Context,
    lines: Annotated[
        Path, typer.Option("--procfile", help="The processes to run.")
    ] = Path("Procfile"),
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what the processes log.")
    ] = False,
) -> None:
    """Start stores and processes, send one email, stay until Ctrl-C."""
    try:
        service = Stack(Path.cwd(), context.obj, follow=follow)
        with stopped_by_signals(service):
            service.run(procfile.read(lines))
    except StackError as ex:
        typer.echo(f"postroom: {ex}", err=True)
        raise typer.Exit(1) from ex


if __name__ == "__main__":
    main()
