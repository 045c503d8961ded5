"""What a self-check makes of the settings and of the two servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from ..domain.check import Check, Rule
from ..domain.inspection import RedisFacts, StoreFacts
from ..domain.policy import Policy
from . import rules

#: The oldest releases that this is made for.
LEAST_MONGODB = 6
LEAST_REDIS = 7

#: A machine whose date is further off than this writes misleading logs, and to the
#: other workers of Dramatiq, which goes by the machine's date, it looks dead or makes
#: them look so. Email goes by the store's clock, for just that reason.
MOST_OFFSET = timedelta(seconds=5)

#: Part of Redis's memory in use from which on it may soon refuse messages.
MOST_MEMORY = 0.7


def of_settings(warnings: Sequence[str]) -> Iterator[Check]:
    """Judge what the settings say."""
    if not warnings:
        yield rules.SETTINGS.ok("complete and in range")
    for warning in warnings:
        yield rules.SETTINGS.warn(warning, "mend it, unless this is your own machine")


def of_lease(policy: Policy, *, production: bool) -> Check:
    """Judge whether a slow call may outlive its lease: two workers would send."""
    lease, safe = policy.lease.total_seconds(), policy.safe_lease.total_seconds()
    if policy.lease >= policy.safe_lease:
        return rules.LEASE.ok(f"{lease:g} s, {safe:g} s are needed")
    judge = rules.LEASE.refuse if production else rules.LEASE.warn
    return judge(
        f"POSTROOM_LEASE_S is {lease:g}, under {safe:g} (twice the provider timeout "
        "and 10 s): an email may be sent twice",
        "raise POSTROOM_LEASE_S, or lower POSTROOM_PROVIDER_TIMEOUT_S",
    )


def of_store(facts: StoreFacts | None) -> Iterator[Check]:
    """Judge MongoDB."""
    if facts is None:
        yield rules.MONGODB.fail(
            "does not answer: no email can be accepted",
            "look at MongoDB and at MONGODB_URI",
        )
        return
    yield _writable(facts)
    yield _version(rules.MONGODB_VERSION, facts.version, LEAST_MONGODB)
    yield _durable(facts)
    yield _replica_set(facts.replica_set)
    yield _transactions(facts)
    yield _indexes(facts.missing_indexes)
    yield _clock(facts.offset)


def _writable(facts: StoreFacts) -> Check:
    if facts.writable:
        return rules.MONGODB.ok("answers, and takes writes")
    return rules.MONGODB.fail(
        "answers, but confirms no write: no email can be accepted",
        "give the set a primary and a majority, and the user the right to write",
    )


def _durable(facts: StoreFacts) -> Check:
    if facts.durable:
        return rules.WRITE_CONCERN.ok("a majority and its journal")
    return rules.WRITE_CONCERN.refuse(
        "a write may be lost after it was confirmed",
        "take w, journal and wtimeoutMS out of MONGODB_URI",
    )


def _version(rule: Rule, version: str, least: int) -> Check:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) >= least:
        return rule.ok(version)
    return rule.warn(f"{version}, older than {least} or not known", "upgrade it")


def _replica_set(name: str | None) -> Check:
    if name is not None:
        return rules.REPLICA_SET.ok(name)
    return rules.REPLICA_SET.warn(
        "a server on its own: one lost disk loses the email",
        "run it as a replica set",
    )


def _transactions(facts: StoreFacts) -> Check:
    if facts.transactions:
        return rules.TRANSACTIONS.ok("one was committed")
    # Not refused: each write that a promise rests on is of one document.
    return rules.TRANSACTIONS.warn(
        "none can be committed; nothing that is written now needs one",
        "run it as a replica set with a primary and a majority",
    )


def _indexes(missing: Sequence[str]) -> Check:
    if not missing:
        return rules.INDEXES.ok("all are there")
    return rules.INDEXES.fail(f"missing: {', '.join(missing)}", "run `postroom init`")


def _clock(offset: timedelta) -> Check:
    seconds = offset.total_seconds()
    if abs(offset) <= MOST_OFFSET:
        return rules.CLOCK.ok(f"this machine is {abs(seconds):.1f} s off the store's")
    way = "ahead of" if seconds > 0 else "behind"
    return rules.CLOCK.warn(
        f"this machine is {abs(seconds):.0f} s {way} the store: its logs mislead, and "
        "queues hand messages out twice or late",
        "let NTP set both clocks; email goes by the store's",
    )


def of_keys(
    facts: StoreFacts | None, *, in_settings: bool, production: bool
) -> Iterator[Check]:
    """Judge whether anybody, or everybody, can call the API.

    Args:
        facts: Of MongoDB, with the stored keys; ``None`` if it did not answer.
        in_settings: There is one in the settings.
        production: Without any key nothing may start.
    """
    do = "run `postroom keys create`, or set POSTROOM_API_KEY"
    if in_settings:
        stored = facts.usable_keys if facts else 0
        yield rules.KEYS.ok(f"one in the settings, {stored} stored")
    elif facts is None:
        return
    elif facts.usable_keys:
        yield rules.KEYS.ok(f"{facts.usable_keys} stored")
    elif production:
        yield rules.KEYS.refuse("there is none: nobody could call the API", do)
    elif facts.revoked_keys:
        yield rules.KEYS.warn("all are revoked: nobody can call the API", do)
    else:
        yield rules.KEYS.warn("there is none: whoever reaches the port can send", do)


def of_redis(facts: RedisFacts | None) -> Iterator[Check]:
    """Judge Redis."""
    if facts is None:
        yield rules.REDIS.fail(
            "does not answer: email is accepted and waits",
            "look at Redis and at REDIS_URL",
        )
        return
    if facts.is_replica:
        yield rules.REDIS.fail("is a replica", "let REDIS_URL name the primary")
    else:
        yield rules.REDIS.ok("answers")
    yield _version(rules.REDIS_VERSION, facts.version, LEAST_REDIS)
    yield _eviction(facts.eviction_policy)
    yield _persistence(is_kept=bool(facts.append_only))
    if facts.memory_used is not None:
        yield _memory(facts.memory_used)


def _eviction(policy: str | None) -> Check:
    if policy == "noeviction":
        return rules.EVICTION.ok(policy)
    if policy is None:
        return rules.EVICTION.warn(
            "it does not tell its maxmemory-policy", "make sure that it is noeviction"
        )
    return rules.EVICTION.refuse(
        f"maxmemory-policy is {policy}: Redis may throw whole queues away",
        "set it to noeviction",
    )


def _persistence(*, is_kept: bool) -> Check:
    if is_kept:
        return rules.PERSISTENCE.ok("append-only file")
    return rules.PERSISTENCE.ok(
        "no append-only file: after a restart email comes later; `appendonly yes` helps"
    )


def _memory(used: float) -> Check:
    found = f"{used:.0%} of maxmemory in use"
    if used <= MOST_MEMORY:
        return rules.MEMORY.ok(found)
    return rules.MEMORY.warn(
        f"{found}: when it is full, email is accepted and waits",
        "give it more, or find out what fills it",
    )
