"""The table of all checks: `postroom doctor` and every start of a process use it.

docs/operating.md shows the same rows, with what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.check import Result, Rule

SETTINGS = Rule(
    name="settings",
    looks_at="the environment: what is missing, wrong, or right at home only",
    worst=Result.REFUSE,
    at_start=True,
)
LEASE = Rule(
    name="lease",
    looks_at="`POSTROOM_LEASE_S` against twice the provider timeout and 10 s",
    worst=Result.REFUSE,
    at_start=True,
)
MONGODB = Rule(
    name="mongodb",
    looks_at="whether MongoDB answers and a majority confirms a write",
    worst=Result.FAIL,
    at_start=True,
)
MONGODB_VERSION = Rule(
    name="mongodb.version",
    looks_at="MongoDB's version, 6 or later",
    worst=Result.WARN,
    at_start=True,
)
WRITE_CONCERN = Rule(
    name="mongodb.write_concern",
    looks_at="what a write waits for: a majority and its journal",
    worst=Result.REFUSE,
    at_start=True,
)
REPLICA_SET = Rule(
    name="mongodb.replica_set",
    looks_at="whether it is a replica set",
    worst=Result.WARN,
    at_start=True,
)
TRANSACTIONS = Rule(
    name="mongodb.transactions",
    looks_at="whether a transaction is committed",
    worst=Result.WARN,
    at_start=True,
)
INDEXES = Rule(
    name="mongodb.indexes",
    looks_at="the indexes that `postroom init` creates",
    worst=Result.FAIL,
    at_start=True,
)
CLOCK = Rule(
    name="clock",
    looks_at="this machine's date against MongoDB's, within 5 s",
    worst=Result.WARN,
    at_start=True,
)
KEYS = Rule(
    name="keys",
    looks_at="whether there is an API key, in the settings or stored",
    worst=Result.REFUSE,
    at_start=True,
)
REDIS = Rule(
    name="redis",
    looks_at="whether Redis answers and is a primary",
    worst=Result.FAIL,
    at_start=True,
)
REDIS_VERSION = Rule(
    name="redis.version",
    looks_at="Redis's version, 7 or later",
    worst=Result.WARN,
    at_start=True,
)
EVICTION = Rule(
    name="redis.eviction",
    looks_at="`maxmemory-policy`",
    worst=Result.REFUSE,
    at_start=True,
)
PERSISTENCE = Rule(
    name="redis.persistence",
    looks_at="whether there is an append-only file",
    worst=Result.OK,
    at_start=True,
)
MEMORY = Rule(
    name="redis.memory",
    looks_at="the part of `maxmemory` in use, 70 % at most",
    worst=Result.WARN,
    at_start=True,
)
QUEUE = Rule(
    name="queue.*",
    looks_at="each `send.*` queue with messages: its provider, and a worker for it",
    worst=Result.WARN,
    at_start=True,
)
WORKER = Rule(
    name="worker",
    looks_at="the last sign of life of a `worker`",
    worst=Result.FAIL,
)
ROUTER = Rule(
    name="router",
    looks_at="the last sign of life of a `router`",
    worst=Result.FAIL,
)
SWEEP = Rule(
    name="sweep",
    looks_at="when a `router` last offered what was due",
    worst=Result.FAIL,
)
SCHEDULER = Rule(
    name="scheduler",
    looks_at="when a tick of the `scheduler` last reached a `router`",
    worst=Result.WARN,
)
PROVIDER = Rule(
    name="provider.*",
    looks_at="each provider: breaker, pause, drain",
    worst=Result.WARN,
)
PROVIDERS = Rule(
    name="providers",
    looks_at="whether any provider can be used; told only if none can",
    worst=Result.FAIL,
)
OLDEST_DUE = Rule(
    name="oldest_due",
    looks_at="the email that has been due for longest: 2 and 15 minutes",
    worst=Result.FAIL,
)
DEAD_LETTERS = Rule(
    name="dead_letters",
    looks_at="the dead letters of the last day",
    worst=Result.FAIL,
)
EMAILS = Rule(
    name="emails",
    looks_at="how many emails are in which state",
    worst=Result.FAIL,
)
HELD = Rule(
    name="held",
    looks_at="the emails that wait for an operator",
    worst=Result.WARN,
)

#: All of them, in the order of the checks.
TABLE = (
    SETTINGS,
    LEASE,
    MONGODB,
    MONGODB_VERSION,
    WRITE_CONCERN,
    REPLICA_SET,
    TRANSACTIONS,
    INDEXES,
    CLOCK,
    KEYS,
    REDIS,
    REDIS_VERSION,
    EVICTION,
    PERSISTENCE,
    MEMORY,
    WORKER,
    ROUTER,
    SWEEP,
    SCHEDULER,
    QUEUE,
    PROVIDER,
    PROVIDERS,
    OLDEST_DUE,
    DEAD_LETTERS,
    EMAILS,
    HELD,
)

#: The signs of life that processes leave, and the rule for each.
OF_BEATS: Mapping[str, Rule] = {
    rule.name: rule for rule in (WORKER, ROUTER, SWEEP, SCHEDULER)
}
