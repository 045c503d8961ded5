"""A worker that some emails crash: `dramatiq tests.e2e.poisonous:send`.

The real composition root, with providers that end the process at the sight of a
subject. No product code knows of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

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


class Poisonous:
    """A provider that crashes where the email says so."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def profile(self) -> ProviderProfile:
        return self._provider.profile

    def build(self, email: Email, *, recipients: Sequence[int]) -> Built:
        if email.content.subject == IN_BUILD:
            os._exit(1)
        built = self._provider.build(email, recipients=recipients)
        if email.content.subject == IN_SEND:
            return replace(built, request=None)
        return built

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        if built.request is None:
            os._exit(1)
        return self._provider.send(built, timeout=timeout)


def send() -> None:
    worker.build = build_poisonous  # type: ignore[attr-defined]
    worker.send()


def build_poisonous(settings: Settings) -> Parts:
    parts = build(settings)
    providers = {name: Poisonous(p) for name, p in parts.providers.items()}
    return replace(parts, providers=providers)
