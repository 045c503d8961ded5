"""Settings: what is read, and that the tables of them are true."""

import dataclasses
import re
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
from tests.adapters.environments import PRODUCTION

ROOT = Path(__file__).resolve().parents[2]


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


def test_keys_may_be_stored_instead_of_standing_in_the_settings() -> None:
    del (environ := dict(PRODUCTION))["POSTROOM_API_KEY"]

    assert Settings.from_env(environ).api_key is None


def test_a_rate_alone_allows_twice_of_it_at_once() -> None:
    settings = Settings.from_env({"POSTROOM_RATE_PER_S": "10"})

    assert settings.rate == Rate(per_s=10, burst=20)


@pytest.mark.parametrize("name", ["POSTROOM_STACK_EMBEDDED", "PATH", "SMTP_HOST"])
def test_variables_of_others_are_nobodys_business(name: str) -> None:
    assert Settings.from_env({**PRODUCTION, name: "x"}).warnings == ()


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
