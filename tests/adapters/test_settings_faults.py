"""Settings: what is refused, and what is only warned of."""

import re
import traceback
from datetime import timedelta

import pytest

from postroom.adapters.settings import Settings
from postroom.domain.errors import SettingsError
from tests.adapters.environments import PRODUCTION, faults_of


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("PORT", "8_0"),
        ("PORT", "\u0668\u0660"),
        ("PORT", "-1"),
        ("POSTROOM_ENV", "test"),
        ("POSTROOM_ENV", "prod"),
        ("POSTROOM_REDIS_TLS_VERIFY", "maybe"),
        ("POSTROOM_REDIS_MAX_CONNECTIONS", "0"),
        ("POSTROOM_LEASE_S", "0"),
        ("POSTROOM_LEASE_S", "nan"),
        ("POSTROOM_LEASE_S", "inf"),
        ("POSTROOM_LEASE_S", "1e3"),
        ("POSTROOM_LEASE_S", "60s"),
        ("POSTROOM_LEASE_S", "15"),
        ("POSTROOM_PROVIDER_TIMEOUT_S", "0"),
        ("POSTROOM_MAX_ATTEMPTS_PER_PROVIDER", "0"),
        ("POSTROOM_RETRY_FIRST_S", "0"),
        ("POSTROOM_RETRY_FIRST_S", "301"),
        ("POSTROOM_MAX_AGE_H", "0"),
        ("POSTROOM_MAX_UNKNOWN", "-1"),
        ("POSTROOM_SWEEP_EVERY_S", "61"),
        ("POSTROOM_KEEP_BODY_D", "-1"),
        ("POSTROOM_KEEP_EMAIL_D", "0"),
        ("POSTROOM_KEEP_EMAIL_D", "29.9"),
        ("POSTROOM_BREAKER_FAIL_MAX", "0"),
        ("POSTROOM_BREAKER_WINDOW_S", "0"),
        ("POSTROOM_MAX_BODY_MB", "0"),
        ("WORKER_THREADS", "513"),
        ("WEB_CONCURRENCY", "0"),
        ("POSTROOM_DEFAULT_FROM", "a@b.cd, d@e.fg"),
        ("POSTROOM_DEFAULT_FROM", "nobody"),
        ("POSTROOM_CORS_ORIGINS", "example.com"),
        ("POSTROOM_CORS_ORIGINS", "https://example.com/"),
        ("POSTROOM_CORS_ORIGINS", "https://example.com,"),
        ("POSTROOM_CORS_ORIGINS", "null"),
        ("POSTROOM_PROVIDERS", "sendgird"),
        ("POSTROOM_PROVIDERS", "postmark"),
        ("POSTROOM_PROVIDERS", "Sandbox"),
        ("POSTROOM_PROVIDERS", "my-box=sandbox"),
        ("POSTROOM_PROVIDERS", "1box=sandbox"),
        ("POSTROOM_PROVIDERS", "box=sandbox=x"),
        ("POSTROOM_PROVIDERS", "box="),
        ("POSTROOM_PROVIDERS", "=sandbox"),
        ("POSTROOM_PROVIDERS", "sandbox,"),
        ("POSTROOM_PROVIDERS", "sandbox,sandbox"),
        ("POSTROOM_PROVIDERS", "sendgrid=sandbox"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "3"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "sandbox="),
        ("POSTROOM_PROVIDER_CONCURRENCY", "sandbox=0"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "sandbox=three"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "sandbox=3,"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "sandbox=3,sandbox=4"),
        ("POSTROOM_PROVIDER_CONCURRENCY", "smtp=3"),
        ("POSTROOM_SANDBOX_MODE", "explode"),
        ("POSTROOM_SANDBOX_DELAY_MS", "-1"),
        ("POSTROOM_SANDBOX_KEYS", "2"),
    ],
)
def test_a_wrong_value_is_named_shown_and_told_what_was_expected(
    name: str, text: str
) -> None:
    faults = faults_of({name: text})

    assert len(faults) == 1
    assert re.match(rf"{name}: got ('.*'|nothing), expected .+", faults[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MONGODB_URI", "canary"),
        ("MONGODB_URI", "http://canary/"),
        ("MONGODB_URI", "mongodb://"),
        ("MONGODB_URI", "mongodb://u:canary@h:99999/x"),
        ("MONGODB_URI", "mongodb://u:canary/y@h/x"),
        ("MONGODB_URI", "mongodb://u:p@canary@h/x"),
        ("MONGODB_URI", "mongodb+srv://"),
        ("MONGODB_URI", "mongodb://h/ca nary"),
        ("REDIS_URL", "canary"),
        ("REDIS_URL", "unix:///canary"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:canary/y@h:1/0"),
        ("REDIS_URL", "redis://:canary@h:99999/0"),
        ("REDIS_URL", "redis://:canary@h:1/x"),
        ("REDIS_URL", "redis://:canary@h:1/0?db=x"),
        ("REDIS_URL", "redis://:canary@h:1/0?nonsense=1"),
        ("REDIS_URL", "redis://[canary"),
        ("POSTROOM_API_KEY", "canary canary"),
        ("POSTROOM_API_KEY", "canaryé"),
        ("POSTROOM_PROVIDER_PROXY", "socks5://u:canary@h"),
        ("POSTROOM_PROVIDER_PROXY", "u:canary@h:3128"),
        ("POSTROOM_B_API_KEY", "canary\r\nX: y"),
    ],
)
def test_a_wrong_secret_is_named_and_not_shown(name: str, text: str) -> None:
    environ = {
        "POSTROOM_PROVIDERS": "b=sendgrid",
        "POSTROOM_B_API_KEY": "SG.key",
        name: text,
    }

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)

    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"{name}: got a value that is not shown")
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_all_faults_are_told_at_once() -> None:
    faults = faults_of(
        {
            "POSTROOM_ENV": "production",
            "PORT": "x",
            "POSTROOM_PROVIDERS": "sendgrid,what=ever,two=mailgun",
            "POSTROOM_LEASE_S": "15.9",
            "POSTROOM_RETRY_MAX_S": "1",
            "POSTROOM_TWO_API_URL": "ftp://x",
        }
    )

    assert sorted(fault.partition(":")[0] for fault in faults) == [
        "PORT",
        "POSTROOM_LEASE_S",
        "POSTROOM_PROVIDERS",
        "POSTROOM_RETRY_FIRST_S",
        "POSTROOM_TWO_API_KEY",
        "POSTROOM_TWO_API_URL",
        "POSTROOM_TWO_DOMAIN",
        "SENDGRID_API_KEY",
    ]


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    (fault,) = faults_of({"POSTROOM_PROVIDERS": "mail=postmark"})

    assert "known are sendgrid, mailgun, resend, smtp, sandbox" in fault


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("?w=1", ["w=1"]),
        ("?w=0&journal=false&retryWrites=true", ["w=0", "journal=false"]),
        ("?W=2;readPreference=secondaryPreferred", ["W=2", "readPreference="]),
        ("?wTimeoutMS=1&readConcernLevel=local", ["wTimeoutMS=1", "readConcernLevel="]),
        ("?w=majority&journal=true&readPreference=primary&j=true&wtimeoutMS=0", []),
        ("", []),
    ],
)
def test_what_a_uri_asks_for_in_vain_is_warned_of(
    options: str, told: list[str]
) -> None:
    uri = f"mongodb://db.example/mail{options}"

    warnings = Settings.from_env({"MONGODB_URI": uri}).warnings

    of_uri = [w for w in warnings if w.startswith("MONGODB_URI says ")]
    assert len(of_uri) == len(told)
    assert all(word in w for word, w in zip(told, of_uri, strict=True))


@pytest.mark.parametrize(
    ("given", "got", "least"),
    [
        ({"POSTROOM_KEEP_BODY_D": "401"}, "'400'", "401"),
        (
            {"POSTROOM_KEEP_BODY_D": "1.5", "POSTROOM_KEEP_EMAIL_D": "1.25"},
            "'1.25'",
            "1.5",
        ),
    ],
)
def test_a_record_is_not_to_go_before_its_body(
    given: dict[str, str], got: str, least: str
) -> None:
    (fault,) = faults_of(given)

    assert fault.startswith(f"POSTROOM_KEEP_EMAIL_D: got {got}, expected")
    assert f"at least POSTROOM_KEEP_BODY_D, {least}:" in fault


def test_a_body_may_be_kept_as_long_as_its_record() -> None:
    same = {"POSTROOM_KEEP_BODY_D": "7", "POSTROOM_KEEP_EMAIL_D": "7"}

    policy = Settings.from_env(same).policy

    assert policy.keep_body == policy.keep_email == timedelta(days=7)


def test_test_stacks_may_use_small_values() -> None:
    settings = Settings.from_env(
        {"POSTROOM_LEASE_S": "4", "POSTROOM_PROVIDER_TIMEOUT_S": "1"}
    )

    assert settings.policy.lease == timedelta(seconds=4)


def test_a_careful_production_starts_without_a_warning() -> None:
    assert Settings.from_env(PRODUCTION).warnings == ()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "names only the sandbox"),
        (PRODUCTION | {"POSTROOM_API_KEY": "short"}, "can be guessed"),
        (PRODUCTION | {"POSTROOM_PROVIDERS": "sandbox"}, "names only the sandbox"),
        (PRODUCTION | {"POSTROOM_REDIS_TLS_VERIFY": "0"}, "somebody else"),
        (PRODUCTION | {"POSTROOM_CORS_ORIGINS": "*"}, "any web page"),
        (PRODUCTION | {"MONGODB_URI": ""}, "MONGODB_URI is not set"),
        (PRODUCTION | {"REDIS_URL": ""}, "REDIS_URL is not set"),
        (PRODUCTION | {"SENDGRID_API_URL": "http://h"}, "sendgrid: its key goes over"),
        ({"SENDGRID_API_KEY": "x"}, "POSTROOM_PROVIDERS does not name its provider"),
        ({"POSTROOM_PROVIDER": "x"}, "did you mean POSTROOM_PROVIDERS?"),
        ({"POSTROOM_MAX_AGE": "x"}, "did you mean POSTROOM_MAX_AGE_H?"),
        ({"POSTROOM_MONGODB_URI": "x"}, "did you mean MONGODB_URI?"),
        ({"POSTROOM_ZZZ": "x"}, "POSTROOM_ZZZ is set but no setting of that name"),
    ],
)
def test_what_is_safe_only_in_development_is_warned_about(
    environ: dict[str, str], words: str
) -> None:
    warnings = Settings.from_env(environ).warnings

    assert sum(words in warning for warning in warnings) == 1
