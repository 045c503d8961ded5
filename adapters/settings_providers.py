"""The settings of each configured provider, one dataclass for each kind.

``POSTROOM_PROVIDERS`` names the accounts: ``sendgrid`` is the account of that name
and kind, ``backup=sendgrid`` a second one, whose variables begin with
``POSTROOM_BACKUP_``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar, assert_never

from .secret import Secret
from .settings_reading import Reading, Variable
from .settings_smtp import CA_FILE, SMTP_URL, SmtpServer
from .settings_values import DOMAIN, FLAG, KEY, Kind, choice, url, whole

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9]{0,31}", re.ASCII)


class ProviderKind(StrEnum):
    """Which adapters there are."""

    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    RESEND = "resend"
    SMTP = "smtp"
    SANDBOX = "sandbox"


class SandboxMode(StrEnum):
    """What the sandbox does with the email that it is given."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    FAIL = "fail"
    HANG = "hang"
    SLOW = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendgridSettings:
    """An account at SendGrid."""

    name: str
    api_key: Secret
    api_url: str = "https://api.sendgrid.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunSettings:
    """An account at Mailgun; its sending ``domain`` is a part of every call."""

    name: str
    api_key: Secret
    domain: str
    api_url: str = "https://api.mailgun.net"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendSettings:
    """An account at Resend."""

    name: str
    api_key: Secret
    api_url: str = "https://api.resend.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """A relay that speaks SMTP.

    Attributes:
        ca_file: Whom to trust instead of those whom this machine trusts.
    """

    name: str
    server: SmtpServer
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The provider that sends nothing and shows what it got.

    Attributes:
        delay_ms: It waits that long before each answer.
        keys: It honours idempotency keys: the same key is kept once.
    """

    name: str
    mode: SandboxMode = SandboxMode.ACCEPT
    delay_ms: int = 0
    keys: bool = False


ProviderSettings = (
    SendgridSettings | MailgunSettings | ResendSettings | SmtpSettings | SandboxSettings
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One item of ``POSTROOM_PROVIDERS``."""

    name: str
    kind: ProviderKind

    @property
    def prefix(self) -> str:
        """What its variables begin with, up to the last underscore.

        The plain names are those that the providers' add-ons set by themselves.
        """
        if self.name != self.kind:
            return f"POSTROOM_{self.name.upper()}"
        if self.kind is ProviderKind.SANDBOX:
            return "POSTROOM_SANDBOX"
        return self.name.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountVariable(Generic[T]):
    """A variable that each account of a kind has one of."""

    provider: ProviderKind
    suffix: str
    kind: Kind[T]
    default: str | None = None
    meaning: str

    def of(self, account: Account) -> Variable[T]:
        """Return the variable of one account."""
        return Variable(
            name=f"{account.prefix}_{self.suffix}",
            kind=self.kind,
            default=self.default,
            meaning=self.meaning,
        )


_SENDGRID_KEY = AccountVariable(
    provider=ProviderKind.SENDGRID,
    suffix="API_KEY",
    kind=KEY,
    meaning="SendGrid's key. Needed when `sendgrid` is in `POSTROOM_PROVIDERS`.",
)
_SENDGRID_URL = AccountVariable(
    provider=ProviderKind.SENDGRID,
    suffix="API_URL",
    kind=url("https", "http"),
    default="https://api.sendgrid.com",
    meaning="`https://api.eu.sendgrid.com` for an account in the EU.",
)
_MAILGUN_KEY = AccountVariable(
    provider=ProviderKind.MAILGUN,
    suffix="API_KEY",
    kind=KEY,
    meaning="Mailgun's key. Needed when `mailgun` is in `POSTROOM_PROVIDERS`.",
)
_MAILGUN_DOMAIN = AccountVariable(
    provider=ProviderKind.MAILGUN,
    suffix="DOMAIN",
    kind=DOMAIN,
    meaning="The sending domain set up at Mailgun. Needed with its key.",
)
_MAILGUN_URL = AccountVariable(
    provider=ProviderKind.MAILGUN,
    suffix="API_URL",
    kind=url("https", "http"),
    default="https://api.mailgun.net",
    meaning="`https://api.eu.mailgun.net` for a domain in the EU.",
)
_RESEND_KEY = AccountVariable(
    provider=ProviderKind.RESEND,
    suffix="API_KEY",
    kind=KEY,
    meaning="Resend's key; sending access is enough. Needed when `resend` is in "
    "`POSTROOM_PROVIDERS`.",
)
_RESEND_URL = AccountVariable(
    provider=ProviderKind.RESEND,
    suffix="API_URL",
    kind=url("https", "http"),
    default="https://api.resend.com",
    meaning="Another address that speaks Resend's API.",
)
_SMTP_URL = AccountVariable(
    provider=ProviderKind.SMTP,
    suffix="URL",
    kind=SMTP_URL,
    meaning="The relay. Needed when `smtp` is in `POSTROOM_PROVIDERS`. `smtp://`: "
    "STARTTLS is required, port 587; `smtps://`: TLS at once, port 465; "
    "`smtp://...?tls=none`: no TLS. Percent-encode the user and password.",
)
_SMTP_CA_FILE = AccountVariable(
    provider=ProviderKind.SMTP,
    suffix="CA_FILE",
    kind=CA_FILE,
    meaning="Who signed the relay's certificate, if this machine does not know it: "
    "a relay of your own often has a CA of its own.",
)
_SANDBOX_MODE = AccountVariable(
    provider=ProviderKind.SANDBOX,
    suffix="MODE",
    kind=choice(SandboxMode),
    default="accept",
    meaning="What the sandbox does with an email.",
)
_SANDBOX_DELAY = AccountVariable(
    provider=ProviderKind.SANDBOX,
    suffix="DELAY_MS",
    kind=whole(0, 600_000),
    default="0",
    meaning="How long the sandbox takes for an answer, in ms.",
)
_SANDBOX_KEYS = AccountVariable(
    provider=ProviderKind.SANDBOX,
    suffix="KEYS",
    kind=FLAG,
    default="false",
    meaning="Whether the sandbox honours idempotency keys, as Resend does.",
)

#: In the README's order.
ACCOUNT_VARIABLES: tuple[AccountVariable[Any], ...] = (
    _SENDGRID_KEY,
    _SENDGRID_URL,
    _MAILGUN_KEY,
    _MAILGUN_DOMAIN,
    _MAILGUN_URL,
    _RESEND_KEY,
    _RESEND_URL,
    _SMTP_URL,
    _SMTP_CA_FILE,
    _SANDBOX_MODE,
    _SANDBOX_DELAY,
    _SANDBOX_KEYS,
)


def read_providers(
    reading: Reading,
    variable: Variable[tuple[str, ...]],
) -> tuple[ProviderSettings, ...]:
    """Return the settings of the accounts that a variable names, in its order.

    What is wrong with one item, or missing for it, is noted; the others are read.
    """
    providers: dict[str, ProviderSettings | None] = {}
    for item in reading.value(variable):
        try:
            account = _account(item)
            if account.name in providers:
                raise ValueError("each name may stand there once")  # noqa: TRY301
        except ValueError as ex:
            reading.fault(variable, got=item, why=str(ex))
            continue
        providers[account.name] = _read(reading, account, because=variable.name)
    return tuple(filter(None, providers.values()))


def _read(
    reading: Reading,
    account: Account,
    *,
    because: str,
) -> ProviderSettings | None:
    because = f"{because} names {account.name!r}"
    match account.kind:
        case ProviderKind.SENDGRID:
            return _sendgrid(reading, account, because)
        case ProviderKind.MAILGUN:
            return _mailgun(reading, account, because)
        case ProviderKind.RESEND:
            return _resend(reading, account, because)
        case ProviderKind.SMTP:
            return _smtp(reading, account, because)
        case ProviderKind.SANDBOX:
            return SandboxSettings(
                name=account.name,
                mode=reading.value(_SANDBOX_MODE.of(account)),
                delay_ms=reading.value(_SANDBOX_DELAY.of(account)),
                keys=reading.value(_SANDBOX_KEYS.of(account)),
            )
        case _:
            assert_never(account.kind)


def _sendgrid(
    reading: Reading, account: Account, because: str
) -> SendgridSettings | None:
    key = reading.needed(_SENDGRID_KEY.of(account), because=because)
    api_url = reading.value(_SENDGRID_URL.of(account))
    if key is None:
        return None
    return SendgridSettings(name=account.name, api_key=key, api_url=api_url)


def _mailgun(
    reading: Reading, account: Account, because: str
) -> MailgunSettings | None:
    key = reading.needed(_MAILGUN_KEY.of(account), because=because)
    domain = reading.needed(_MAILGUN_DOMAIN.of(account), because=because)
    api_url = reading.value(_MAILGUN_URL.of(account))
    if key is None or domain is None:
        return None
    return MailgunSettings(
        name=account.name,
        api_key=key,
        domain=domain,
        api_url=api_url,
    )


def _resend(reading: Reading, account: Account, because: str) -> ResendSettings | None:
    key = reading.needed(_RESEND_KEY.of(account), because=because)
    api_url = reading.value(_RESEND_URL.of(account))
    if key is None:
        return None
    return ResendSettings(name=account.name, api_key=key, api_url=api_url)


def _smtp(reading: Reading, account: Account, because: str) -> SmtpSettings | None:
    server = reading.needed(_SMTP_URL.of(account), because=because)
    ca_file = reading.optional(_SMTP_CA_FILE.of(account))
    if server is None:
        return None
    return SmtpSettings(name=account.name, server=server, ca_file=ca_file)


def _account(item: str) -> Account:
    name, equals, kind_name = (part.strip() for part in item.partition("="))
    kind_name = kind_name if equals else name
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a name is a lower-case letter, then up to 31 letters and digits",
        )
    if kind_name not in set(ProviderKind):
        raise ValueError(
            f"{kind_name!r} is no kind of provider, known are "
            + ", ".join(ProviderKind),
        )
    if name in set(ProviderKind) and name != kind_name:
        raise ValueError(f"{name!r} is a kind and cannot name a {kind_name} account")
    return Account(name=name, kind=ProviderKind(kind_name))
