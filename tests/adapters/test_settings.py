"""Settings: what is read, what is refused, and what is never shown."""

import copy
import dataclasses
import logging
import pickle
import re
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.adapters import settings_table
from postroom.adapters.secret import Secret
from postroom.adapters.settings import (
    BreakerSettings,
    Environment,
    MailgunSettings,
    ResendSettings,
    SandboxMode,
    SandboxSettings,
    SendgridSettings,
    Settings,
)
from postroom.adapters.settings_reading import Reading, Variable
from postroom.domain.access import Rate
from postroom.domain.email import Address
from postroom.domain.errors import SettingsError
from postroom.domain.policy import Policy

ROOT = Path(__file__).resolve().parents[2]

#: The least that production starts with, without a warning.
PRODUCTION = {
    "POSTROOM_ENV": "production",
    "POSTROOM_API_KEY": "pr_live_0123456789abcdef",
    "POSTROOM_PROVIDERS": "sendgrid",
    "SENDGRID_API_KEY": "SG.key",
    "MONGODB_URI": "mongodb+srv://user:pass@db.example.com/mail",
    "REDIS_URL": "rediss://:pass@redis.example.com:6380/1",
}


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return caught.value.faults


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.from_env({})

    assert settings == Settings(
        env=Environment.DEVELOPMENT,
        port=8000,
        mongodb_uri=Secret("mongodb://127.0.0.1:27017/postroom"),
        redis_url=Secret("redis://127.0.0.1:6379/0"),
        redis_tls_verify=True,
        redis_max_connections=None,
        api_key=None,
        rate=None,
        default_from=None,
        metrics_key=None,
        metrics_port=None,
        providers=(SandboxSettings(name="sandbox"),),
        policy=Policy(),
        breaker=BreakerSettings(),
        concurrency={},
        sweep_every=timedelta(seconds=5),
        cors_origins=(),
        provider_proxy=None,
        max_body_bytes=15 * 1024 * 1024,
        web_concurrency=2,
        worker_processes=1,
        worker_threads=32,
        warnings=settings.warnings,
    )


def test_each_variable_reaches_its_setting() -> None:
    settings = Settings.from_env(
        {
            **PRODUCTION,
            "PORT": "81",
            "POSTROOM_REDIS_TLS_VERIFY": "no",
            "POSTROOM_REDIS_MAX_CONNECTIONS": "7",
            "POSTROOM_DEFAULT_FROM": '"Doe, Jane" <jane@Example.com>',
            "POSTROOM_RATE_PER_S": "2.5",
            "POSTROOM_RATE_BURST": "7",
            "POSTROOM_METRICS_KEY": "watching",
            "POSTROOM_METRICS_PORT": "9191",
            "POSTROOM_LEASE_S": "90",
            "POSTROOM_PROVIDER_CONCURRENCY": "sendgrid=3",
            "POSTROOM_PROVIDER_TIMEOUT_S": "12.5",
            "POSTROOM_MAX_ATTEMPTS_PER_PROVIDER": "4",
            "POSTROOM_RETRY_FIRST_S": "3",
            "POSTROOM_RETRY_MAX_S": "600",
            "POSTROOM_MAX_AGE_H": "0.5",
            "POSTROOM_UNKNOWN_GRACE_S": "0",
            "POSTROOM_MAX_UNKNOWN": "0",
            "POSTROOM_SWEEP_GRACE_S": "9",
            "POSTROOM_SWEEP_EVERY_S": "1.5",
            "POSTROOM_KEEP_BODY_D": "0",
            "POSTROOM_KEEP_EMAIL_D": "7.5",
            "POSTROOM_BREAKER_FAIL_MAX": "6",
            "POSTROOM_BREAKER_RESET_S": "7",
            "POSTROOM_BREAKER_WINDOW_S": "8",
            "POSTROOM_CORS_ORIGINS": "https://a.example, http://b.example:81",
            "POSTROOM_PROVIDER_PROXY": "http://u:p@proxy.example:3128/",
            "POSTROOM_MAX_BODY_MB": "0.5",
            "WEB_CONCURRENCY": "3",
            "WORKER_PROCESSES": "4",
            "WORKER_THREADS": "5",
        }
    )

    assert settings == Settings(
        env=Environment.PRODUCTION,
        port=81,
        mongodb_uri=Secret(PRODUCTION["MONGODB_URI"]),
        redis_url=Secret(PRODUCTION["REDIS_URL"]),
        redis_tls_verify=False,
        redis_max_connections=7,
        api_key=Secret("pr_live_0123456789abcdef"),
        rate=Rate(per_s=2.5, burst=7),
        default_from=Address(addr_spec="jane@example.com", display_name="Doe, Jane"),
        metrics_key=Secret("watching"),
        metrics_port=9191,
        providers=(SendgridSettings(name="sendgrid", api_key=Secret("SG.key")),),
        policy=Policy(
            lease=timedelta(seconds=90),
            timeout=timedelta(seconds=12.5),
            max_attempts=4,
            retry_first=timedelta(seconds=3),
            retry_max=timedelta(minutes=10),
            max_age=timedelta(minutes=30),
            unknown_grace=timedelta(0),
            max_unknown=0,
            sweep_grace=timedelta(seconds=9),
            keep_body=timedelta(0),
            keep_email=timedelta(days=7.5),
        ),
        breaker=BreakerSettings(
            fail_max=6, reset=timedelta(seconds=7), window=timedelta(seconds=8)
        ),
        concurrency={"sendgrid": 3},
        sweep_every=timedelta(seconds=1.5),
        cors_origins=("https://a.example", "http://b.example:81"),
        provider_proxy="http://u:p@proxy.example:3128",
        max_body_bytes=512 * 1024,
        web_concurrency=3,
        worker_processes=4,
        worker_threads=5,
        warnings=settings.warnings,
    )


def test_blank_counts_as_absent_and_spaces_around_do_not_count() -> None:
    blank = dict.fromkeys((v.name for v in settings_table.TABLE), "  ")

    settings = Settings.from_env({**blank, "PORT": " 81\n"})

    assert dataclasses.replace(settings, port=8000) == Settings.from_env({})
    assert settings.port == 81


def test_accounts_keep_their_order_and_read_their_own_variables() -> None:
    settings = Settings.from_env(
        {
            "POSTROOM_PROVIDERS": (
                "mailgun, backup=sendgrid,resend,slow=sandbox ,sandbox"
            ),
            "MAILGUN_API_KEY": "key-1",
            "MAILGUN_DOMAIN": "MG.Example.com",
            "MAILGUN_API_URL": "https://api.eu.mailgun.net/",
            "RESEND_API_KEY": "re_3",
            "POSTROOM_BACKUP_API_KEY": "SG.2",
            "POSTROOM_BACKUP_API_URL": "http://127.0.0.1:9000",
            "POSTROOM_SLOW_MODE": "Slow",
            "POSTROOM_SLOW_DELAY_MS": "250",
            "POSTROOM_SLOW_KEYS": "1",
            "POSTROOM_SANDBOX_MODE": "refuse",
        }
    )

    assert settings.providers == (
        MailgunSettings(
            name="mailgun",
            api_key=Secret("key-1"),
            domain="mg.example.com",
            api_url="https://api.eu.mailgun.net",
        ),
        SendgridSettings(
            name="backup", api_key=Secret("SG.2"), api_url="http://127.0.0.1:9000"
        ),
        ResendSettings(
            name="resend", api_key=Secret("re_3"), api_url="https://api.resend.com"
        ),
        SandboxSettings(name="slow", mode=SandboxMode.SLOW, delay_ms=250, keys=True),
        SandboxSettings(name="sandbox", mode=SandboxMode.REFUSE),
    )


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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MONGODB_URI", "mongodb://a:1,b:2/mail?replicaSet=rs0"),
        ("MONGODB_URI", "mongodb://u:p%40ss@h/mail?authSource=admin"),
        ("MONGODB_URI", "mongodb+srv://u:p@cluster.example.com"),
        ("MONGODB_URI", "mongodb://%2Ftmp%2Fmongodb-27017.sock/mail"),
        ("REDIS_URL", "redis://h"),
        ("REDIS_URL", "redis://[::1]:6379/0"),
        ("REDIS_URL", "rediss://u:p%2Fw@h:6380/15?ssl_cert_reqs=none"),
        ("REDIS_URL", "redis://h?db=3&health_check_interval=10"),
    ],
)
def test_the_urls_that_hosts_hand_out_are_taken(name: str, text: str) -> None:
    settings = Settings.from_env({name: text})

    given = {"MONGODB_URI": settings.mongodb_uri, "REDIS_URL": settings.redis_url}
    assert given[name].reveal() == text


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mongodb://h/mail", "mail"),
        ("mongodb://u:p@a:1,b:2/mail?w=majority", "mail"),
        ("mongodb://h", "postroom"),
        ("mongodb://h/", "postroom"),
        ("mongodb://h/?replicaSet=rs0", "postroom"),
        ("mongodb+srv://u:p@h.example.com/m%61il", "mail"),
    ],
)
def test_the_database_is_the_uris_or_postroom(uri: str, database: str) -> None:
    assert Settings.from_env({"MONGODB_URI": uri}).database == database


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


def test_keys_may_be_stored_instead_of_standing_in_the_settings() -> None:
    del (environ := dict(PRODUCTION))["POSTROOM_API_KEY"]

    assert Settings.from_env(environ).api_key is None


def test_a_rate_alone_allows_twice_of_it_at_once() -> None:
    settings = Settings.from_env({"POSTROOM_RATE_PER_S": "10"})

    assert settings.rate == Rate(per_s=10, burst=20)


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


@pytest.mark.parametrize("name", ["POSTROOM_STACK_EMBEDDED", "PATH", "SMTP_HOST"])
def test_variables_of_others_are_nobodys_business(name: str) -> None:
    assert Settings.from_env({**PRODUCTION, name: "x"}).warnings == ()


def test_no_secret_is_shown_by_any_way_of_printing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings.from_env(
        {
            "MONGODB_URI": "mongodb://canary-user:canary@h/mail",
            "REDIS_URL": "redis://:canary@h",
            "POSTROOM_API_KEY": "canary",
            "POSTROOM_PROVIDERS": "sendgrid,mailgun,resend",
            "SENDGRID_API_KEY": "canary",
            "RESEND_API_KEY": "canary",
            "MAILGUN_API_KEY": "canary",
            "MAILGUN_DOMAIN": "example.com",
            "POSTROOM_PROVIDER_PROXY": "http://u:canary@h:1",
        }
    )
    logging.getLogger("test").warning("%s %r", settings.mongodb_uri, settings)

    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        f"{settings.mongodb_uri:>40} {settings.mongodb_uri!r} {settings.mongodb_uri}",
        repr(dataclasses.asdict(settings)["providers"]),
        repr(copy.deepcopy(settings)),
        str(settings.warnings),
        caplog.text,
    ]

    assert "canary" not in "\n".join(shown)


def test_a_secret_is_given_out_only_on_purpose() -> None:
    secret = Secret("canary")

    assert secret.reveal() == "canary"
    assert secret == Secret("canary")
    assert hash(secret) == hash(Secret("canary"))
    assert secret != Secret("other")
    assert secret != "canary"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_secrets_are_all_that_a_log_must_not_show() -> None:
    settings = Settings.from_env(
        {
            "MONGODB_URI": "mongodb://u:p%40ss@h/mail",
            "REDIS_URL": "redis://:second@h",
            "POSTROOM_API_KEY": "third",
            "POSTROOM_METRICS_KEY": "seventh",
            "POSTROOM_PROVIDERS": "sendgrid,resend,sandbox",
            "SENDGRID_API_KEY": "fourth",
            "RESEND_API_KEY": "sixth",
            "POSTROOM_PROVIDER_PROXY": "http://u:fifth@h:1",
        }
    )

    assert {secret.reveal() for secret in settings.secrets} == {
        "mongodb://u:p%40ss@h/mail",
        "p%40ss",
        "p@ss",
        "redis://:second@h",
        "second",
        "third",
        "fourth",
        "http://u:fifth@h:1",
        "fifth",
        "sixth",
        "seventh",
    }


@given(
    st.dictionaries(
        st.sampled_from([v.name for v in settings_table.TABLE]),
        st.text(st.characters(exclude_categories=[]), max_size=30),
        max_size=6,
    )
)
def test_no_environment_raises_anything_but_a_settings_error(
    environ: dict[str, str],
) -> None:
    try:
        settings = Settings.from_env(environ)
    except SettingsError:
        return

    assert settings.providers


def test_a_variable_without_a_default_has_no_value_to_fall_back_on() -> None:
    with pytest.raises(LookupError):
        Reading({}).value(settings_table.API_KEY)


def test_every_default_is_a_value_that_its_own_variable_takes() -> None:
    variables = (*settings_table.TABLE, *settings_table.plain_account_variables())

    for variable in variables:
        if variable.default is not None:
            variable.kind.read(variable.default)


def test_every_variable_stands_in_the_table() -> None:
    defined = [v for v in vars(settings_table).values() if isinstance(v, Variable)]

    assert defined == list(settings_table.TABLE)


def test_the_readme_has_the_table_that_the_code_reads_by() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = "<!-- settings -->", "<!-- /settings -->"

    between = readme.partition(begin)[2].partition(end)[0]

    assert between.strip() == settings_table.render_table(), (
        f"write the output of the command in adapters/settings_table.py between "
        f"{begin} and {end}"
    )


def test_the_example_environment_sets_only_variables_that_exist() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    known = {
        variable.name
        for variable in (
            *settings_table.TABLE,
            *settings_table.plain_account_variables(),
        )
    }

    names = re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)

    assert names
    assert set(names) <= known
