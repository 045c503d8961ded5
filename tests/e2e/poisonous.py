"""A worker that some emails upset: `dramatiq tests.e2e.poisonous:send`.

The real composition root, with providers that end the process, or raise what nobody
expects, at the sight of a subject. No product code knows of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from postroom.actors import worker
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import Parts, build
from postroom.domain.email import Email
from postroom.domain.outcome import Outcome
from postroom.domain.ports import Built, Provider
from postroom.domain.routing import ProviderProfile

#: Subjects of emails that crash the worker before, and after, they are claimed.
IN_BUILD = "crash in build"
IN_SEND = "crash in send"

#: The subject of one that raises while there is a file of this name at home.
RAISING = "raise in build"
FAULT = "fault"


class Poisonous:
    """A provider that fails where the email says so."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def profile(self) -> ProviderProfile:
        return self._provider.profile

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        subject = email.content.subject
        if subject == IN_BUILD:
            os._exit(1)
        if subject == RAISING and (Path.home() / FAULT).exists():
            raise RuntimeError(f"cannot write to {email.recipients}: {email.content}")
        built = self._provider.build(email, recipients=recipients, key=key)
        return replace(built, request=None) if subject == IN_SEND else built

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        if built.request is None:
            os._exit(1)
        return self._provider.send(built, timeout=timeout)


def line(procfile_line: str) -> str:
    """Return the Procfile's line of the worker with this root in it."""
    mark = "postroom.actors.worker:send"
    assert mark in procfile_line
    return procfile_line.replace(mark, f"{__name__}:send")


def send() -> None:
    worker.build = build_poisonous  # type: ignore[attr-defined]
    worker.send()


def build_poisonous(settings: Settings, **options: Any) -> Parts:
    parts = build(settings, **options)
    providers = {name: Poisonous(p) for name, p in parts.providers.items()}
    return replace(parts, providers=providers)
