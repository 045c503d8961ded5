"""What the operators' verbs are given: services that main.py has put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ..domain.email import Email
from ..domain.ports import Clock
from ..services.audit import Audit
from ..services.doctor import Doctor
from ..services.erase import Erase
from ..services.find import Find
from ..services.keys import CreateKey, ListKeys, RevokeKey
from ..services.mark_sent import MarkSent
from ..services.providers import Providers
from ..services.redrive import Redrive
from ..services.replay import Replay

#: The option that every verb has which shows something.
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and nothing else.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """The use cases behind the verbs.

    Attributes:
        accept: Takes the JSON body of `POST /api/emails`, with the same checks.
        describe: Returns an email as `GET /api/emails/ID` shows it.
    """

    accept: Callable[[Mapping[str, Any]], Email]
    describe: Callable[[Email], dict[str, Any]]
    find: Find
    redrive: Redrive
    mark_sent: MarkSent
    erase: Erase
    replay: Replay
    providers: Providers
    doctor: Doctor
    audit: Audit
    create_key: CreateKey
    list_keys: ListKeys
    revoke_key: RevokeKey
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of the command; every verb finds it as its context's ``obj``.

    Attributes:
        environ: The process's environment.
        open: Reads the settings and makes the services; nothing is asked yet.
    """

    environ: Mapping[str, str]
    open: Callable[[], Operating]


def services(context: typer.Context) -> Operating:
    """Return the services of this run.

    Raises:
        SettingsError: The environment is wrong.
    """
    session: Session = context.obj
    return session.open()
