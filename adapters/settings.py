"""The environment, read once into one frozen value.

Nothing else reads the environment, and nothing is read at import: the composition
roots pass ``os.environ`` to `Settings.from_env`. All faults are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self, assert_never
from urllib.parse import unquote, urlsplit

from ..domain.access import Rate
from ..domain.email import Address
from ..domain.errors import SettingsError
from ..domain.policy import Policy
from . import settings_table as table
from .mongo_uri import MAJORITY_RULES, overruled_options
from .secret import Secret
from .settings_providers import (
    MailgunSettings,
    ProviderKind,
    ProviderSettings,
    ResendSettings,
    SandboxMode,
    SandboxSettings,
    SendgridSettings,
    SmtpSettings,
    read_providers,
)
from .settings_reading import Reading
from .settings_smtp import SmtpServer, SmtpTls
from .settings_table import Environment, render_table

__all__ = [
    "BreakerSettings",
    "Environment",
    "MailgunSettings",
    "ProviderKind",
    "ProviderSettings",
    "ResendSettings",
    "SandboxMode",
    "SandboxSettings",
    "Secret",
    "SendgridSettings",
    "Settings",
    "SmtpServer",
    "SmtpSettings",
    "SmtpTls",
    "render_table",
]

#: The database when ``MONGODB_URI`` names none.
DEFAULT_DATABASE = "postroom"

#: Names that the embedded stack keeps for itself (cli/surroundings.py).
STACK_PREFIX = "POSTROOM_STACK_"

ONE_SECOND = timedelta(seconds=1)

#: A key of fewer characters than this is warned about.
SHORT_KEY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a provider's breaker opens, and when it lets a probe through.

    Attributes:
        fail_max: It opens at this many failures in the window, if they are at least
            half of the calls.
        reset: How long it stays open before the first probe.
        window: The time that calls are counted over.
    """

    fail_max: int = 5
    reset: timedelta = timedelta(seconds=30)
    window: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that an operator can set, validated.

    Attributes:
        redis_max_connections: Bound on the pool of each Redis client, or ``None``.
        api_key: A bearer key for everything, beside the stored ones, or ``None``.
        rate: How many requests a key may make that has no rate of its own; ``None``:
            as many as it likes.
        metrics_key: What opens the metrics and nothing else, or ``None``.
        metrics_port: The first port for the metrics of workers, or ``None``.
        providers: In order of preference, at least one.
        concurrency: Most emails in hand at a provider in one process, by its name.
        cors_origins: ``*`` or origins; empty for no CORS at all.
        provider_proxy: May hold a password, so it is not in the ``repr``.
        max_body_bytes: Largest request body as it comes over the wire.
        failpoints_dir: Where tests arm failpoints; ``None`` for no failpoints.
        warnings: What to tell the operator at start, one sentence each.
    """

    env: Environment
    port: int
    mongodb_uri: Secret
    redis_url: Secret
    redis_tls_verify: bool
    redis_max_connections: int | None
    api_key: Secret | None
    rate: Rate | None
    default_from: Address | None
    metrics_key: Secret | None
    metrics_port: int | None
    providers: tuple[ProviderSettings, ...]
    concurrency: Mapping[str, int]
    policy: Policy
    breaker: BreakerSettings
    sweep_every: timedelta
    cors_origins: tuple[str, ...]
    provider_proxy: str | None = field(repr=False)
    max_body_bytes: int
    web_concurrency: int
    worker_processes: int
    worker_threads: int
    failpoints_dir: Path | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Build the settings from an environment.

        Args:
            environ: Names and values; a blank value counts as absent.

        Raises:
            SettingsError: Its ``faults`` are all that is wrong, each with the
                variable, what it holds (unless that is a secret) and what was
                expected.
        """
        reading = Reading(environ)
        settings = cls(
            env=reading.value(table.ENV),
            port=reading.value(table.PORT),
            mongodb_uri=reading.value(table.MONGODB),
            redis_url=reading.value(table.REDIS),
            redis_tls_verify=reading.value(table.REDIS_TLS_VERIFY),
            redis_max_connections=reading.optional(table.REDIS_MAX_CONNECTIONS),
            api_key=reading.optional(table.API_KEY),
            rate=_rate(reading),
            default_from=reading.optional(table.DEFAULT_FROM),
            metrics_key=reading.optional(table.METRICS_KEY),
            metrics_port=reading.optional(table.METRICS_PORT),
            providers=read_providers(reading, table.PROVIDERS),
            concurrency=reading.optional(table.PROVIDER_CONCURRENCY) or {},
            policy=_policy(reading),
            breaker=_breaker(reading),
            sweep_every=reading.value(table.SWEEP_EVERY),
            cors_origins=reading.optional(table.CORS_ORIGINS) or (),
            provider_proxy=reading.optional(table.PROVIDER_PROXY),
            max_body_bytes=int(reading.value(table.MAX_BODY) * table.MEGABYTE),
            web_concurrency=reading.value(table.WEB_CONCURRENCY),
            worker_processes=reading.value(table.WORKER_PROCESSES),
            worker_threads=reading.value(table.WORKER_THREADS),
            failpoints_dir=reading.optional(table.FAILPOINTS_DIR),
        )
        _check(settings, reading)
        if reading.faults:
            raise SettingsError(tuple(reading.faults))
        return replace(settings, warnings=tuple(_warnings(settings, reading)))

    @property
    def database(self) -> str:
        """The database's name, as in ``MONGODB_URI``, or ``postroom``."""
        path = urlsplit(self.mongodb_uri.reveal()).path.lstrip("/")
        return unquote(path).partition(".")[0] or DEFAULT_DATABASE

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All that no log may show, the passwords inside of URIs too."""
        uris = [self.mongodb_uri, self.redis_url]
        if self.provider_proxy is not None:
            uris.append(Secret(self.provider_proxy))
        keys = []
        for provider in self.providers:
            match provider:
                case SendgridSettings() | MailgunSettings() | ResendSettings():
                    keys.append(provider.api_key)
                case SmtpSettings():
                    uris.append(provider.server.url)
                case SandboxSettings():
                    pass
                case _:
                    assert_never(provider)
        keys += [key for key in (self.api_key, self.metrics_key) if key is not None]
        for uri in uris:
            if password := urlsplit(uri.reveal()).password:
                keys += [Secret(password), Secret(unquote(password))]
        return tuple(dict.fromkeys(uris + keys))


def _rate(reading: Reading) -> Rate | None:
    per_s = reading.optional(table.RATE)
    burst = reading.optional(table.RATE_BURST)
    return None if per_s is None else Rate.of(per_s, burst)


def _policy(reading: Reading) -> Policy:
    return Policy(
        lease=reading.value(table.LEASE),
        timeout=reading.value(table.PROVIDER_TIMEOUT),
        max_attempts=reading.value(table.MAX_ATTEMPTS),
        retry_first=reading.value(table.RETRY_FIRST),
        retry_max=reading.value(table.RETRY_MAX),
        max_age=reading.value(table.MAX_AGE),
        unknown_grace=reading.value(table.UNKNOWN_GRACE),
        max_unknown=reading.value(table.MAX_UNKNOWN),
        sweep_grace=reading.value(table.SWEEP_GRACE),
        keep_body=reading.value(table.KEEP_BODY),
        keep_email=reading.value(table.KEEP_EMAIL),
    )


def _breaker(reading: Reading) -> BreakerSettings:
    return BreakerSettings(
        fail_max=reading.value(table.BREAKER_FAIL_MAX),
        reset=reading.value(table.BREAKER_RESET),
        window=reading.value(table.BREAKER_WINDOW),
    )


def _check(settings: Settings, reading: Reading) -> None:
    """Note faults between variables that are each right by themselves."""
    policy = settings.policy
    if reading.faulty.isdisjoint({table.LEASE.name, table.PROVIDER_TIMEOUT.name}):
        # What is safe is more; the checks at the start of a process see to that.
        least = policy.timeout + ONE_SECOND
        if policy.lease < least:
            reading.fault(
                table.LEASE,
                got=reading.text(table.LEASE.name) or f"{table.LEASE.default}",
                why=f"at least {least.total_seconds():g} with "
                f"{table.PROVIDER_TIMEOUT.name} {policy.timeout.total_seconds():g}",
            )
    if policy.retry_first > policy.retry_max:
        reading.fault(
            table.RETRY_FIRST,
            got=reading.text(table.RETRY_FIRST.name) or f"{table.RETRY_FIRST.default}",
            why=f"at most {table.RETRY_MAX.name}, {policy.retry_max.total_seconds():g}",
        )
    _check_retention(policy, reading)
    _check_concurrency(settings, reading)
    if settings.failpoints_dir is not None and settings.env is Environment.PRODUCTION:
        reading.fault(
            table.FAILPOINTS_DIR,
            got=reading.text(table.FAILPOINTS_DIR.name),
            why=f"and none at all with {table.ENV.name} production",
        )


def _check_retention(policy: Policy, reading: Reading) -> None:
    both = {table.KEEP_BODY.name, table.KEEP_EMAIL.name}
    if reading.faulty.isdisjoint(both) and policy.keep_email < policy.keep_body:
        body = policy.keep_body / timedelta(days=1)
        reading.fault(
            table.KEEP_EMAIL,
            got=reading.text(table.KEEP_EMAIL.name) or f"{table.KEEP_EMAIL.default}",
            why=f"at least {table.KEEP_BODY.name}, {body:g}: a record goes last",
        )


def _check_concurrency(settings: Settings, reading: Reading) -> None:
    if table.PROVIDERS.name in reading.faulty:
        return
    configured = {provider.name for provider in settings.providers}
    for name in sorted(settings.concurrency.keys() - configured):
        reading.fault(
            table.PROVIDER_CONCURRENCY,
            got=reading.text(table.PROVIDER_CONCURRENCY.name),
            why=f"{table.PROVIDERS.name} does not name {name!r}",
        )


def _warnings(settings: Settings, reading: Reading) -> Iterator[str]:
    """Tell what is right on one's own machine and wrong elsewhere."""
    key = settings.api_key
    if key is not None and len(key.reveal()) < SHORT_KEY:
        yield f"POSTROOM_API_KEY has under {SHORT_KEY} characters: it can be guessed"
    if all(isinstance(provider, SandboxSettings) for provider in settings.providers):
        yield "POSTROOM_PROVIDERS names only the sandbox: no email leaves"
    for told in overruled_options(settings.mongodb_uri.reveal()):
        yield f"MONGODB_URI says {told}: that has no effect, {MAJORITY_RULES}"
    if settings.failpoints_dir is not None:
        yield "POSTROOM_FAILPOINTS_DIR is set: whoever can write there ends processes"
    if not settings.redis_tls_verify:
        yield "POSTROOM_REDIS_TLS_VERIFY is false: Redis may be somebody else"
    if "*" in settings.cors_origins:
        yield "POSTROOM_CORS_ORIGINS is *: any web page may call the API"
    if settings.env is Environment.PRODUCTION:
        yield from _production_warnings(settings, reading)
    yield from _unread_warnings(reading)


def _production_warnings(settings: Settings, reading: Reading) -> Iterator[str]:
    for variable in (table.MONGODB, table.REDIS):
        if not reading.text(variable.name):
            yield f"{variable.name} is not set: the one of this machine is used"
    for provider in settings.providers:
        match provider:
            case SendgridSettings() | MailgunSettings() | ResendSettings():
                if not provider.api_url.startswith("https:"):
                    yield f"provider {provider.name}: its key goes over plain http"
            case SmtpSettings(server=server):
                if server.tls is SmtpTls.NONE and not server.is_local:
                    yield f"provider {provider.name}: email goes over plain SMTP"
            case SandboxSettings():
                pass
            case _:
                assert_never(provider)


def _unread_warnings(reading: Reading) -> Iterator[str]:
    """Tell of variables that are set and do nothing, misspelt ones above all."""
    account_names = {variable.name for variable in table.plain_account_variables()}
    known = {
        name.removeprefix("POSTROOM_"): name
        for name in sorted(reading.known | account_names)
    }
    for name in sorted(reading.unread()):
        if name in account_names:
            yield f"{name} is set but POSTROOM_PROVIDERS does not name its provider"
        elif name.startswith("POSTROOM_") and not name.startswith(STACK_PREFIX):
            plain = name.removeprefix("POSTROOM_")
            near = difflib.get_close_matches(plain, known, n=1, cutoff=0.7)
            hint = f", did you mean {known[near[0]]}?" if near else ""
            yield f"{name} is set but no setting of that name is read{hint}"
