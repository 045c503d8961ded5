"""The `postroom` command: composition root of what operators type.

The only module here that imports adapters; see pyproject.toml, import-linter.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..adapters import logs
from ..adapters.mint import SystemMint
from ..adapters.settings import Settings
from ..adapters.wiring import Parts, build, tell
from ..domain.email import Email
from ..services import rules
from ..services.audit import Audit
from ..services.doctor import Doctor
from ..services.erase import Erase
from ..services.find import Find
from ..services.keys import CreateKey, ListKeys, RevokeKey
from ..services.mark_sent import MarkSent
from ..services.providers import Providers
from ..services.redrive import Redrive
from ..services.replay import Replay
from ..services.self_check import SelfCheck, start
from . import (
    audit,
    dead_letters,
    doctor,
    emails,
    erasing,
    keys,
    procfile,
    providers,
    sending,
)
from .errors import InputError, StackError
from .exits import EPILOG, ExitCode, answering, stop
from .operating import Operating, Session
from .stack import Stack, stopped_by_signals

#: Bound on one search of an audit that an operator waits for, in seconds.
AUDIT_S = 30.0

app = typer.Typer(
    help="Postroom: takes email over HTTP and gets it to a provider.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a trace with local values would show secrets
)
stack = typer.Typer()


def main() -> None:
    """Run the command; what the console script calls."""
    app()


@app.callback()
def postroom(context: typer.Context) -> None:
    """Hand the environment to the commands: nothing below reads it."""
    environ = dict(os.environ)  # noqa: TID251  this is a composition root
    opened = partial(operating, environ, on_close=context.call_on_close)
    context.obj = Session(environ=environ, open=opened)


@app.command("init")
def init_command(context: typer.Context) -> None:
    """Check the settings and prepare the stores; the Procfile's `release`."""
    with answering():
        init(context.obj.environ)


def init(environ: Mapping[str, str]) -> None:
    """Check the settings and prepare the stores. Safe to repeat.

    Args:
        environ: The process's environment.

    Raises:
        SettingsError: The environment is wrong, or a self-check refuses.
        StoreUnavailableError: MongoDB did not take the indexes.
    """
    settings = Settings.from_env(environ)
    logs.configure(settings.env, secrets=settings.secrets)
    with closing(build(settings)) as parts:
        # The first key can only be made once this has run.
        about_to_be = {rules.INDEXES, rules.KEYS}
        start(SelfCheck(parts.premises), tell, without=about_to_be)
        parts.store.ensure_indexes()


def operating(
    environ: Mapping[str, str], *, on_close: Callable[[Callable[[], None]], object]
) -> Operating:
    """Put together what the operators' verbs need; nothing is connected yet.

    Logs are for errors only: what is away, the verbs say themselves.

    Args:
        environ: The process's environment.
        on_close: Takes what is to be done when the verb has ended.

    Raises:
        SettingsError: The environment is wrong; it lists every fault.
    """
    settings = Settings.from_env(environ)
    logs.configure(settings.env, secrets=settings.secrets, level=logging.ERROR)
    parts = build(settings)
    on_close(parts.close)
    shared: dict[str, Any] = {"store": parts.store, "clock": parts.clock}
    fit = parts.failpoints.fit
    redrive = fit(Redrive(**shared, hints=parts.hints, policy=settings.policy))
    names = parts.names
    return Operating(
        accept=partial(_accept, parts),
        describe=_describe,
        find=fit(Find(store=parts.store, archive=parts.archive)),
        redrive=redrive,
        mark_sent=fit(MarkSent(**shared)),
        erase=fit(Erase(**shared, erasure=parts.erasure, policy=settings.policy)),
        replay=fit(Replay(archive=parts.archive, hints=parts.hints, redrive=redrive)),
        providers=fit(
            Providers(
                panel=parts.board,
                archive=parts.archive,
                hints=parts.hints,
                queues=parts.premises.queues,
                names=names,
            )
        ),
        doctor=fit(
            Doctor(
                **shared,
                self_check=SelfCheck(parts.premises),
                archive=parts.archive,
                panel=parts.board,
                heartbeats=parts.heartbeats,
                names=names,
            )
        ),
        audit=fit(
            Audit(
                books=parts.books.bounded(AUDIT_S),
                clock=parts.clock,
                policy=settings.policy,
            )
        ),
        create_key=fit(
            CreateKey(ring=parts.keys, clock=parts.clock, mint=SystemMint())
        ),
        list_keys=fit(ListKeys(ring=parts.keys)),
        revoke_key=fit(RevokeKey(ring=parts.keys, clock=parts.clock)),
        clock=parts.clock,
    )


def _accept(parts: Parts, body: Mapping[str, Any]) -> Email:
    """Accept what the API would accept: its own checks are handed in here."""
    # Here, because no other verb needs them, and they take their time to load.
    from ..http.auth import OWNER  # noqa: PLC0415
    from ..http.errors import ApiError  # noqa: PLC0415
    from ..http.fields import Context  # noqa: PLC0415
    from ..http.new_email import read_email  # noqa: PLC0415
    from ..http.wsgi import accept_of, options_of  # noqa: PLC0415

    options = options_of(parts.settings)
    context = Context(
        limits=options.limits,
        clock=parts.clock.now,
        providers=parts.names,
    )
    default_from = options.default_from
    try:
        new = read_email(body, context, owner=OWNER, default_from=default_from)
    except ApiError as ex:
        faults = [f"{fault.field}: {fault.message}" for fault in ex.faults]
        raise InputError("; ".join(faults) or ex.message) from ex
    return accept_of(parts)(new)


def _describe(email: Email) -> dict[str, Any]:
    from ..http.answers import email_answer  # noqa: PLC0415 - as above

    document: dict[str, Any] = json.loads(email_answer(email).to_json())
    return document


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
        service = Stack(Path.cwd(), context.obj.environ, follow=follow)
        with stopped_by_signals(service):
            service.run(procfile.read(lines))
    except StackError as ex:
        stop(str(ex), ExitCode.FAILED)


for verbs in (sending.app, emails.app, erasing.app, doctor.app, audit.app):
    app.add_typer(verbs)
for name, group, told in (
    ("dead-letters", dead_letters.app, "Emails that need a human."),
    ("keys", keys.app, "Who may call the API."),
    ("providers", providers.app, "Providers and their breakers."),
    ("stack", stack, "The whole service on this machine, with its own stores."),
):
    app.add_typer(group, name=name, help=told, epilog=EPILOG)


if __name__ == "__main__":
    main()
