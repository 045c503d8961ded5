"""The URL of a relay: what it may say, and what never leaves in clear."""

import traceback
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from postroom.adapters.secret import Secret
from postroom.adapters.settings import (
    Settings,
    SmtpServer,
    SmtpSettings,
    SmtpTls,
)
from postroom.domain.errors import SettingsError


def server_of(url: str) -> SmtpServer:
    settings = Settings.from_env({"POSTROOM_PROVIDERS": "smtp", "SMTP_URL": url})
    (found,) = settings.providers
    assert isinstance(found, SmtpSettings)
    return found.server


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://relay.example.com", "relay.example.com", 587, SmtpTls.STARTTLS),
        ("smtp://relay.example.com/", "relay.example.com", 587, SmtpTls.STARTTLS),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, SmtpTls.STARTTLS),
        ("smtps://relay.example.com", "relay.example.com", 465, SmtpTls.IMPLICIT),
        ("smtps://[2001:db8::1]:26", "2001:db8::1", 26, SmtpTls.IMPLICIT),
        ("smtp://[::1]", "::1", 587, SmtpTls.STARTTLS),
        ("smtp://relay:25?tls=none", "relay", 25, SmtpTls.NONE),
        ("SMTP://relay", "relay", 587, SmtpTls.STARTTLS),
    ],
)
def test_a_url_says_where_the_relay_is(
    url: str, host: str, port: int, tls: SmtpTls
) -> None:
    assert server_of(url) == SmtpServer(
        url=Secret(url), host=host, port=port, tls=tls, user="", password=Secret("")
    )


def test_a_user_and_a_password_are_percent_decoded() -> None:
    found = server_of("smtp://ada%40example.com:p%2F%3A%40%25+w%20x@relay.example.com")

    assert found.user == "ada@example.com"
    assert found.password.reveal() == "p/:@%+w x"
    assert found.host == "relay.example.com"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_a_password_may_go_in_clear_to_this_machine(host: str) -> None:
    assert server_of(f"smtp://u:p@{host}?tls=none").tls is SmtpTls.NONE


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("canary", ""),
        ("relay.example.com:587", ""),
        ("http://u:canary@relay", ""),
        ("smtp://", ""),
        ("smtp://u:canary@relay:99999", ""),
        ("smtp://u:canary@relay:0", ""),
        ("smtp://[canary", ""),
        ("smtp://u:canary canary@relay", "percent-encoded"),
        ("smtp://u:canary/x@relay", "percent-encoded"),
        ("smtp://u:canary@relay/path", "ends after the host"),
        ("smtp://u:canary@relay#x", "ends after the host"),
        ("smtp://u:canary@relay?tls=no", "tls=none"),
        ("smtp://u:canary@relay?tls=none&x=y", "tls=none"),
        ("smtps://u:canary@relay?tls=none", "tls=none"),
        ("smtp://canary@relay", "a user and a password"),
        ("smtp://:canary@relay", "a user and a password"),
        ("smtp://u:canary%00@relay", "visible ASCII"),
        ("smtp://u:canary%0D%0A@relay", "visible ASCII"),
        ("smtp://u:canary%C3%A9@relay", "visible ASCII"),
        ("smtp://u%FF:canary@relay", "visible ASCII"),
        ("smtp://u:canary@relay?tls=none", "to this machine only"),
        ("smtp://u:canary@10.0.0.1:25?tls=none", "to this machine only"),
        ("smtp://u:canary@localhost.example.com?tls=none", "to this machine only"),
    ],
)
def test_a_wrong_url_is_named_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        server_of(url)

    (fault,) = caught.value.faults
    assert fault.startswith("SMTP_URL: got a value that is not shown, expected smtp://")
    assert why in fault
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@given(st.text(max_size=40))
def test_no_text_makes_the_reading_of_a_url_fail(text: str) -> None:
    try:
        server_of(f"smtp://{text}")
    except SettingsError as ex:
        assert len(ex.faults) == 1  # noqa: PT017 - it may also be right


def test_a_second_account_reads_its_own_variables(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca_file)

    settings = Settings.from_env(
        {
            "POSTROOM_PROVIDERS": "smtp,backup=smtp",
            "SMTP_URL": "smtps://one.example",
            "POSTROOM_BACKUP_URL": "smtp://two.example",
            "POSTROOM_BACKUP_CA_FILE": str(ca_file),
        }
    )

    found = [p for p in settings.providers if isinstance(p, SmtpSettings)]
    assert [(one.name, one.server.host, one.ca_file) for one in found] == [
        ("smtp", "one.example", None),
        ("backup", "two.example", str(ca_file)),
    ]


def test_an_account_without_its_url_is_a_fault() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"POSTROOM_PROVIDERS": "backup=smtp"})

    (fault,) = caught.value.faults
    assert fault.startswith("POSTROOM_BACKUP_URL: got nothing")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_a_certificate_is_a_fault(
    tmp_path: Path, content: str | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(
            {
                "POSTROOM_PROVIDERS": "smtp",
                "SMTP_URL": "smtp://relay",
                "SMTP_CA_FILE": str(ca_file),
            }
        )

    (fault,) = caught.value.faults
    assert fault.startswith(f"SMTP_CA_FILE: got '{ca_file}', expected a file of PEM")


def test_the_password_is_never_shown() -> None:
    settings = Settings.from_env(
        {
            "POSTROOM_PROVIDERS": "smtp",
            "SMTP_URL": "smtps://user-canary:pass%2Fcanary@relay.example.com",
        }
    )

    secrets = {secret.reveal() for secret in settings.secrets}
    assert "canary" not in repr(settings)
    assert {"pass/canary", "pass%2Fcanary"} <= secrets
    assert "smtps://user-canary:pass%2Fcanary@relay.example.com" in secrets


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("smtp://relay?tls=none", True),
        ("smtp://localhost?tls=none", False),
        ("smtp://relay", False),
        ("smtps://relay", False),
    ],
)
def test_production_warns_of_a_relay_without_tls(url: str, warned: bool) -> None:
    settings = Settings.from_env(
        {
            "POSTROOM_ENV": "production",
            "POSTROOM_API_KEY": "k" * 40,
            "POSTROOM_PROVIDERS": "smtp",
            "SMTP_URL": url,
        }
    )

    told = "provider smtp: email goes over plain SMTP"
    assert (told in settings.warnings) is warned
