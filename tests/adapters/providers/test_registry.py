"""From the settings of the providers to the providers."""

import pytest

from postroom.adapters.providers.mailgun import MailgunProvider
from postroom.adapters.providers.registry import build_providers
from postroom.adapters.providers.resend import ResendProvider
from postroom.adapters.providers.sandbox import SandboxProvider
from postroom.adapters.providers.sendgrid import SendgridProvider
from postroom.adapters.providers.smtp import SmtpProvider
from postroom.adapters.sandbox_inbox import MemoryInbox
from postroom.adapters.settings import Settings
from postroom.domain.access import TEST_PROVIDER
from postroom.domain.outcome import Accepted
from tests.adapters.providers.parts import PATIENCE, StoppedClock, an_email
from tests.fake_provider import FakeProvider

ENVIRONMENT = {
    "POSTROOM_PROVIDERS": "mailgun,sendgrid,backup=sendgrid,resend,smtp,sandbox",
    "SENDGRID_API_KEY": "SG.one",
    "MAILGUN_API_KEY": "key-two",
    "MAILGUN_DOMAIN": "mg.example.com",
    "POSTROOM_BACKUP_API_KEY": "SG.three",
    "RESEND_API_KEY": "re_four",
    "SMTP_URL": "smtp://relay.example.com",
}


def test_each_account_becomes_a_provider_in_the_order_of_preference() -> None:
    settings = Settings.from_env(ENVIRONMENT)

    found = build_providers(settings, inbox=MemoryInbox(), clock=StoppedClock())

    assert [(name, type(provider)) for name, provider in found.items()] == [
        ("mailgun", MailgunProvider),
        ("sendgrid", SendgridProvider),
        ("backup", SendgridProvider),
        ("resend", ResendProvider),
        ("smtp", SmtpProvider),
        ("sandbox", SandboxProvider),
        ("test-sandbox", SandboxProvider),
    ]
    assert [provider.profile.name for provider in found.values()] == list(found)
    assert found["backup"].profile.kind == "sendgrid"


def test_two_accounts_of_one_kind_use_their_own_keys(fake: FakeProvider) -> None:
    settings = Settings.from_env(
        {
            **ENVIRONMENT,
            "SENDGRID_API_URL": fake.url,
            "POSTROOM_BACKUP_API_URL": f"{fake.url}/backup",
        }
    )
    found = build_providers(settings, inbox=MemoryInbox(), clock=StoppedClock())

    for name in ("sendgrid", "backup"):
        built = found[name].build(an_email(), recipients=(0,))
        assert built.provider == name
        assert isinstance(found[name].send(built, timeout=PATIENCE), Accepted)
        closing = found[name]
        assert isinstance(closing, SendgridProvider)
        closing.close()

    calls = [(call.provider, call.headers["authorization"]) for call in fake.calls]
    assert calls == [("sendgrid", "Bearer SG.one"), ("backup", "Bearer SG.three")]


def test_the_given_proxy_carries_the_calls(fake: FakeProvider) -> None:
    settings = Settings.from_env(
        {
            **ENVIRONMENT,
            "SENDGRID_API_URL": "http://provider.invalid",
            "MAILGUN_API_URL": "http://provider.invalid",
            "RESEND_API_URL": "http://provider.invalid",
            "POSTROOM_PROVIDER_PROXY": fake.url,
        }
    )
    found = build_providers(settings, inbox=MemoryInbox(), clock=StoppedClock())

    for name in ("sendgrid", "mailgun", "resend"):
        built = found[name].build(an_email(), recipients=(0,))
        assert isinstance(found[name].send(built, timeout=PATIENCE), Accepted)
        closing = found[name]
        assert isinstance(closing, SendgridProvider | MailgunProvider | ResendProvider)
        closing.close()

    assert [call.path for call in fake.calls] == [
        "http://provider.invalid/v3/mail/send",
        "http://provider.invalid/v3/mg.example.com/messages",
        "http://provider.invalid/emails",
    ]


@pytest.mark.parametrize(("env", "kept"), [("development", 1), ("production", 0)])
def test_what_test_keys_send_is_kept_where_there_is_a_page_for_it(
    env: str, kept: int
) -> None:
    inbox = MemoryInbox()
    settings = Settings.from_env({"POSTROOM_ENV": env})
    providers = build_providers(settings, inbox=inbox, clock=StoppedClock())
    provider = providers[TEST_PROVIDER]

    built = provider.build(an_email(), recipients=[0])
    outcome = provider.send(built, timeout=PATIENCE)

    assert isinstance(outcome, Accepted)
    assert provider.profile.only_pinned
    assert len(inbox.latest(10)) == kept
