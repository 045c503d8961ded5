"""From the settings of the providers to the providers."""

from __future__ import annotations

from typing import assert_never

from ...domain.access import TEST_PROVIDER
from ...domain.ports import Clock, Provider
from ..failpoints import Around, nothing_around
from ..sandbox_inbox import NoInbox
from ..settings import Environment, Settings
from ..settings_providers import (
    MailgunSettings,
    ProviderSettings,
    ResendSettings,
    SandboxSettings,
    SendgridSettings,
    SmtpSettings,
)
from .mailgun import MailgunProvider
from .resend import ResendProvider
from .sandbox import Inbox, SandboxProvider
from .sendgrid import SendgridProvider
from .smtp import SmtpProvider


def build_providers(
    settings: Settings,
    *,
    inbox: Inbox,
    clock: Clock,
    around: Around = nothing_around,
) -> dict[str, Provider]:
    """Return the configured providers by name, in order of preference.

    The last one is there in every process and in no setting: what test keys send goes
    to it, and nothing else does.

    Nothing is connected before the first call. Each process makes its own: their
    connections cannot be shared over a fork.
    """
    providers = {
        given.name: _provider(
            given,
            proxy=settings.provider_proxy,
            inbox=inbox,
            clock=clock,
            around=around,
        )
        for given in settings.providers
    }
    test = SandboxSettings(name=TEST_PROVIDER)
    # In production the page is closed, and retention does not reach an inbox.
    its_inbox = NoInbox() if settings.env is Environment.PRODUCTION else inbox
    of_tests = SandboxProvider(test, its_inbox, clock=clock, only_pinned=True)
    return {**providers, TEST_PROVIDER: of_tests}


def _provider(
    given: ProviderSettings,
    *,
    proxy: str | None,
    inbox: Inbox,
    clock: Clock,
    around: Around,
) -> Provider:
    match given:
        case SendgridSettings():
            return SendgridProvider(given, proxy=proxy, around=around)
        case MailgunSettings():
            return MailgunProvider(given, proxy=proxy, around=around)
        case ResendSettings():
            return ResendProvider(given, proxy=proxy, around=around)
        case SmtpSettings():
            return SmtpProvider(given, around=around)
        case SandboxSettings():
            return SandboxProvider(given, inbox, clock=clock)
        case _:
            assert_never(given)
