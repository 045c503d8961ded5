"""Every environment variable that Postroom reads: one table for code and README.

This prints the README's, which stands there between two markers:

    python -c "import postroom.adapters.settings_table as t; print(t.render_table())"
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeVar

from ..domain.access import HIGHEST_RATE, LARGEST_BURST, LOWEST_RATE
from .settings_providers import ACCOUNT_VARIABLES, Account, ProviderKind
from .settings_reading import Variable
from .settings_values import (
    FLAG,
    FOLDER,
    KEY,
    MAILBOX,
    MONGODB_URI,
    ORIGINS,
    PROVIDER_ITEMS,
    PROVIDER_NUMBERS,
    REDIS_URL,
    Kind,
    choice,
    duration,
    number,
    url,
    whole,
)

T = TypeVar("T")

#: 1 MB of a setting, in bytes.
MEGABYTE = 1024 * 1024

#: Markdown would read these as its own.
_MARKUP = frozenset("<>[]*_")

_table: list[Variable[Any]] = []


class Environment(StrEnum):
    """What faults are forgiven: in production none is."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _variable(
    name: str, kind: Kind[T], *, default: str | None = None, meaning: str
) -> Variable[T]:
    variable = Variable(name=name, kind=kind, default=default, meaning=meaning)
    _table.append(variable)
    return variable


MONGODB = _variable(
    "MONGODB_URI",
    MONGODB_URI,
    default="mongodb://127.0.0.1:27017/postroom",
    meaning="MongoDB, a replica set. Without a database in it: `postroom`.",
)
REDIS = _variable(
    "REDIS_URL",
    REDIS_URL,
    default="redis://127.0.0.1:6379/0",
    meaning="Redis or Valkey, with `maxmemory-policy noeviction`.",
)
REDIS_TLS_VERIFY = _variable(
    "POSTROOM_REDIS_TLS_VERIFY",
    FLAG,
    default="true",
    meaning="`false` for a `rediss://` host with a self-signed certificate.",
)
REDIS_MAX_CONNECTIONS = _variable(
    "POSTROOM_REDIS_MAX_CONNECTIONS",
    whole(1, 10_000),
    meaning="Most connections of each Redis client in a process (a worker has six, "
    "one of them with a single connection). Absent: as many as its threads need.",
)
PORT = _variable(
    "PORT",
    whole(1, 65_535),
    default="8000",
    meaning="Where the API listens.",
)
ENV = _variable(
    "POSTROOM_ENV",
    choice(Environment),
    default="development",
    meaning="`production` refuses what is only safe on your own machine, hides the "
    "sandbox's inbox and logs JSON.",
)
DEFAULT_FROM = _variable(
    "POSTROOM_DEFAULT_FROM",
    MAILBOX,
    meaning="The sender of emails that name none.",
)
API_KEY = _variable(
    "POSTROOM_API_KEY",
    KEY,
    meaning="A key for everything, that clients send as `Authorization: Bearer ...`, "
    "beside those of `postroom keys create`. Production needs one of either; in "
    "development, while there is none, anybody who reaches the port can send.",
)
RATE = _variable(
    "POSTROOM_RATE_PER_S",
    number(LOWEST_RATE, HIGHEST_RATE, of="requests"),
    meaning="How many requests a second a key may make that has no `--rate` of its "
    "own. Absent: as many as it likes.",
)
RATE_BURST = _variable(
    "POSTROOM_RATE_BURST",
    whole(1, LARGEST_BURST),
    meaning="How many of these may come at once. Absent: twice the rate.",
)
METRICS_KEY = _variable(
    "POSTROOM_METRICS_KEY",
    KEY,
    meaning="A key that opens `/metrics` and nothing else, for Prometheus. Absent: the "
    "API's key does.",
)
METRICS_PORT = _variable(
    "POSTROOM_METRICS_PORT",
    whole(1, 65_535),
    meaning="Where `worker` and `router` show `/metrics`: each process on the first "
    "free port from here on. Absent: they do not.",
)
PROVIDERS = _variable(
    "POSTROOM_PROVIDERS",
    PROVIDER_ITEMS,
    default="sandbox",
    meaning="The providers, best first: a kind, or `name=kind` for a second account. "
    f"Kinds: {', '.join(f'`{kind}`' for kind in ProviderKind)}; "
    "names: `[a-z][a-z0-9]*`.",
)
LEASE = _variable(
    "POSTROOM_LEASE_S",
    duration(1, 3600),
    default="60",
    meaning="How long a worker may hold an email. In production at least twice the "
    "provider timeout and 10 s.",
)
PROVIDER_CONCURRENCY = _variable(
    "POSTROOM_PROVIDER_CONCURRENCY",
    PROVIDER_NUMBERS,
    meaning="Most emails that one process of `worker` has in hand at a provider, as in "
    "`smtp=3`: what a relay allows, divided by `WORKER_PROCESSES` and machines. "
    "Absent: as many as there are threads for.",
)
PROVIDER_TIMEOUT = _variable(
    "POSTROOM_PROVIDER_TIMEOUT_S",
    duration(0.1, 300),
    default="15",
    meaning="Bound on a whole call to a provider.",
)
MAX_ATTEMPTS = _variable(
    "POSTROOM_MAX_ATTEMPTS_PER_PROVIDER",
    whole(1, 100),
    default="3",
    meaning="Attempts at one provider in an email's first round.",
)
RETRY_FIRST = _variable(
    "POSTROOM_RETRY_FIRST_S",
    duration(0.01, 86_400),
    default="2",
    meaning="The first wait after a failure; each further one doubles.",
)
RETRY_MAX = _variable(
    "POSTROOM_RETRY_MAX_S",
    duration(0.01, 86_400),
    default="300",
    meaning="The longest wait after a failure.",
)
MAX_AGE = _variable(
    "POSTROOM_MAX_AGE_H",
    duration(0.0001, 8760, of="hours"),
    default="24",
    meaning="An email that nobody took for so long fails as `expired`.",
)
UNKNOWN_GRACE = _variable(
    "POSTROOM_UNKNOWN_GRACE_S",
    duration(0, 86_400),
    default="30",
    meaning="How long an attempt with an unknown outcome waits for news of it.",
)
MAX_UNKNOWN = _variable(
    "POSTROOM_MAX_UNKNOWN",
    whole(0, 100),
    default="3",
    meaning="How often an email with an unknown outcome is sent again before it is "
    "held for an operator.",
)
SWEEP_GRACE = _variable(
    "POSTROOM_SWEEP_GRACE_S",
    duration(0.1, 3600),
    default="60",
    meaning="How long the queue has before the sweep offers an email again.",
)
SWEEP_EVERY = _variable(
    "POSTROOM_SWEEP_EVERY_S",
    duration(0.1, 60),
    default="5",
    meaning="How often the sweep looks for emails that are due.",
)
KEEP_BODY = _variable(
    "POSTROOM_KEEP_BODY_D",
    duration(0, 3650, of="days"),
    default="30",
    meaning="How long a final email keeps its bodies and attachments. Then it can no "
    "longer be sent again.",
)
KEEP_EMAIL = _variable(
    "POSTROOM_KEEP_EMAIL_D",
    duration(1, 3650, of="days"),
    default="400",
    meaning="How long the record of a final email is kept, at least "
    "`POSTROOM_KEEP_BODY_D`.",
)
BREAKER_FAIL_MAX = _variable(
    "POSTROOM_BREAKER_FAIL_MAX",
    whole(1, 10_000),
    default="5",
    meaning="Failures in the window, at least half of its calls, that open a "
    "provider's breaker.",
)
BREAKER_RESET = _variable(
    "POSTROOM_BREAKER_RESET_S",
    duration(0.1, 3600),
    default="30",
    meaning="How long an open breaker waits for its first probe.",
)
BREAKER_WINDOW = _variable(
    "POSTROOM_BREAKER_WINDOW_S",
    duration(0.1, 3600),
    default="60",
    meaning="The time that failures are counted over.",
)
PROVIDER_PROXY = _variable(
    "POSTROOM_PROVIDER_PROXY",
    url("http", secret=True),
    meaning="An HTTP proxy for calls to providers, but not for SMTP. The usual proxy "
    "variables are not looked at.",
)
CORS_ORIGINS = _variable(
    "POSTROOM_CORS_ORIGINS",
    ORIGINS,
    meaning="Web pages whose scripts may call the API, separated by commas.",
)
MAX_BODY = _variable(
    "POSTROOM_MAX_BODY_MB",
    number(0.001, 100, of="megabytes (1024 x 1024 bytes)"),
    default="15",
    meaning="Largest request body.",
)
WEB_CONCURRENCY = _variable(
    "WEB_CONCURRENCY",
    whole(1, 256),
    default="2",
    meaning="Processes of the API.",
)
WORKER_PROCESSES = _variable(
    "WORKER_PROCESSES",
    whole(1, 256),
    default="1",
    meaning="Processes of one `worker`.",
)
WORKER_THREADS = _variable(
    "WORKER_THREADS",
    whole(1, 512),
    default="32",
    meaning="Threads of each of them: calls to providers at a time.",
)

FAILPOINTS_DIR = _variable(
    "POSTROOM_FAILPOINTS_DIR",
    FOLDER,
    meaning="For tests only, refused in production: a file in it kills the process "
    "that comes to the point of its name.",
)

#: All but the accounts' own, in the README's order.
TABLE: tuple[Variable[Any], ...] = tuple(_table)


def plain_account_variables() -> tuple[Variable[Any], ...]:
    """Return the variables of the account that each kind has by its own name."""
    return tuple(
        variable.of(Account(name=variable.provider, kind=variable.provider))
        for variable in ACCOUNT_VARIABLES
    )


def render_table() -> str:
    """Return the README's table of settings, as Markdown."""
    lines = ["| variable | value | default | meaning |", "|---|---|---|---|"]
    for variable in TABLE:
        lines.append(_row(variable))
        if variable is PROVIDERS:
            lines.extend(_account_rows())
    return "\n".join(lines)


def _account_rows() -> Iterator[str]:
    for variable in plain_account_variables():
        yield _row(variable)
    suffixes = dict.fromkeys(variable.suffix for variable in ACCOUNT_VARIABLES)
    yield (
        f"| `POSTROOM_<NAME>_...` | with {', '.join(suffixes)} | as above | "
        "The same settings for a second account: `backup=mailgun` in "
        "`POSTROOM_PROVIDERS` reads `POSTROOM_BACKUP_API_KEY` and so on. |"
    )


def _row(variable: Variable[Any]) -> str:
    expected = variable.kind.expected
    if not _MARKUP.isdisjoint(expected):
        expected = f"`{expected}`"
    default = "none" if variable.default is None else f"`{variable.default}`"
    return f"| `{variable.name}` | {expected} | {default} | {variable.meaning} |"
