"""What a doctor makes of what was found: fine, doubtful or wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..domain.archive import Counts
from ..domain.email import Email
from ..domain.inspection import RedisFacts, StoreFacts
from ..domain.ports import BreakerView
from ..domain.routing import BreakerState, Health
from .ready import OLDEST_BEAT

#: The oldest releases that this is made for.
LEAST_MONGODB = 6
LEAST_REDIS = 7

#: A machine whose date is further off than this writes misleading logs; that nothing
#: else depends on it is the reason for the store's clock.
MOST_OFFSET = timedelta(seconds=5)

#: How long past its `due_at` an email is late, and far too late: by then several
#: sweeps should have offered it.
LATE = timedelta(minutes=2)
TOO_LATE = timedelta(minutes=15)

#: Part of Redis's memory in use from which on it may soon refuse messages.
MOST_MEMORY = 0.9


class Result(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: One word, or two with a dot; scripts may rely on it.
        found: What is so.
        do: What to do about it; empty if all is well.
    """

    name: str
    result: Result
    found: str
    do: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that came out well."""
    return Check(name=name, result=Result.OK, found=found)


def warn(name: str, found: str, do: str) -> Check:
    """Return one that somebody should look into."""
    return Check(name=name, result=Result.WARN, found=found, do=do)


def fail(name: str, found: str, do: str) -> Check:
    """Return one that stops or endangers email."""
    return Check(name=name, result=Result.FAIL, found=found, do=do)


def of_settings(warnings: Sequence[str]) -> Iterator[Check]:
    """Judge what the settings say."""
    if not warnings:
        yield ok("settings", "complete and in range")
    for warning in warnings:
        yield warn("settings", warning, "mend it, unless this is your own machine")


def of_store(facts: StoreFacts | None) -> Iterator[Check]:
    """Judge MongoDB."""
    if facts is None:
        yield fail(
            "mongodb",
            "does not answer: no email can be accepted",
            "look at MongoDB and at MONGODB_URI",
        )
        return
    if facts.writable:
        yield ok("mongodb", "answers, and takes writes")
    else:
        yield fail(
            "mongodb",
            "answers, but takes no writes: no email can be accepted",
            "give the set a primary and a majority, and the user the right to write",
        )
    yield _version("mongodb.version", facts.version, LEAST_MONGODB)
    if facts.replica_set is None:
        yield warn(
            "mongodb.replica_set",
            "a server on its own: one lost disk loses the email",
            "run it as a replica set",
        )
    else:
        yield ok("mongodb.replica_set", facts.replica_set)
    if facts.missing_indexes:
        yield fail(
            "mongodb.indexes",
            f"missing: {', '.join(facts.missing_indexes)}",
            "run `postroom init`",
        )
    else:
        yield ok("mongodb.indexes", "all are there")
    yield _clock(facts.offset)


def _version(name: str, version: str, least: int) -> Check:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) >= least:
        return ok(name, version)
    return warn(name, f"{version}, older than {least} or not known", "upgrade it")


def _clock(offset: timedelta) -> Check:
    seconds = offset.total_seconds()
    if abs(offset) <= MOST_OFFSET:
        return ok("clock", f"this machine is {abs(seconds):.1f} s off the store's")
    way = "ahead of" if seconds > 0 else "behind"
    return warn(
        "clock",
        f"this machine is {abs(seconds):.0f} s {way} the store: its logs mislead",
        "let NTP set both clocks; email goes by the store's",
    )


def of_redis(facts: RedisFacts | None) -> Iterator[Check]:
    """Judge Redis."""
    if facts is None:
        yield fail(
            "redis",
            "does not answer: email is accepted and waits",
            "look at Redis and at REDIS_URL",
        )
        return
    if facts.is_replica:
        yield fail("redis", "is a replica", "let REDIS_URL name the primary")
    else:
        yield ok("redis", "answers")
    yield _version("redis.version", facts.version, LEAST_REDIS)
    yield _eviction(facts.eviction_policy)
    if facts.append_only:
        yield ok("redis.persistence", "append-only file")
    else:
        yield warn(
            "redis.persistence",
            "no append-only file: a restart forgets the queues, and email comes late",
            "set `appendonly yes`",
        )
    if facts.memory_used is not None:
        yield _memory(facts.memory_used)


def _eviction(policy: str | None) -> Check:
    if policy == "noeviction":
        return ok("redis.eviction", policy)
    if policy is None:
        return warn(
            "redis.eviction",
            "it does not tell its maxmemory-policy",
            "make sure that it is noeviction",
        )
    return fail(
        "redis.eviction",
        f"maxmemory-policy is {policy}: it may throw queued messages away",
        "set it to noeviction; processes refuse to start until then",
    )


def _memory(used: float) -> Check:
    found = f"{used:.0%} of maxmemory in use"
    if used <= MOST_MEMORY:
        return ok("redis.memory", found)
    return warn("redis.memory", found, "give it more, or find out what fills it")


def of_beats(ages: Mapping[str, timedelta]) -> Iterator[Check]:
    """Judge the signs of life of the processes."""
    for part, oldest in OLDEST_BEAT.items():
        process = "router" if part == "sweep" else part
        do = f"start `{process}`, or read its log"
        if part not in ages:
            yield fail(part, "never seen, or not for a day", do)
        elif ages[part] > oldest:
            yield fail(part, f"last seen {_told(ages[part])} ago", do)
        else:
            yield ok(part, f"seen {_told(ages[part])} ago")


def of_provider(name: str, view: BreakerView) -> Check:
    """Judge one provider."""
    health, check = view.health, f"provider.{name}"
    if health.drained:
        return warn(check, "drained", f"`postroom providers resume {name}` ends that")
    if health.state is not BreakerState.CLOSED:
        probe = f"next probe at {_clock_time(health.retry_at)}"
        return warn(
            check,
            f"breaker {health.state.value}, {probe}",
            "read the attempts of an email that failed there",
        )
    if health.resume_at is not None:
        found = f"paused until {_clock_time(health.resume_at)}: it said 429"
        return warn(check, found, "nothing, or send less")
    return ok(
        check, f"breaker closed, {view.failures} of {view.calls} calls failed lately"
    )


def of_providers(views: Sequence[BreakerView]) -> Iterator[Check]:
    """Judge them together: while one can be used, email flows."""
    if not any(is_usable(view.health) for view in views):
        yield fail(
            "providers",
            "none can be used now: email waits",
            "see each of them; reset or resume what is well again",
        )


def is_usable(health: Health) -> bool:
    """Return whether a provider, as it was seen just now, gets email."""
    is_closed = health.state is BreakerState.CLOSED
    return is_closed and not health.drained and health.resume_at is None


def of_oldest_due(email: Email | None, *, now: datetime) -> Check:
    """Judge the email that has been due for longest."""
    if email is None or email.due_at is None or now - email.due_at <= LATE:
        return ok("oldest_due", "nothing is overdue")
    late = now - email.due_at
    judge = fail if late > TOO_LATE else warn
    return judge(
        "oldest_due",
        f"{email.email_id} has been due for {_told(late)}",
        f"see that router and sweep run; `postroom show {email.email_id}`",
    )


def of_counts(counts: Counts) -> Iterator[Check]:
    """Judge how many emails there are in which state."""
    told = [f"{state.value} {count}" for state, count in counts.by_state.items()]
    yield ok("emails", ", ".join(sorted(told)) or "none yet")
    if counts.held:
        yield warn(
            "held",
            f"{counts.held} emails wait for you to decide",
            "`postroom list --state unknown`, then `postroom retry ID --force`",
        )
    else:
        yield ok("held", "none")


def of_dead_letters(*, all_of_them: int, lately: int) -> Check:
    """Judge the dead letters: those of the last day are news."""
    found = f"{lately} of the last day, {all_of_them} in all"
    if lately == 0:
        return ok("dead_letters", found)
    return warn(
        "dead_letters",
        found,
        "`postroom dead-letters list --since 1d`, mend the reason, replay them",
    )


def _clock_time(instant: datetime | None) -> str:
    return f"{instant:%H:%M:%S} UTC" if instant else "any moment"


def _told(duration: timedelta) -> str:
    """Return a duration as people say it, from seconds to days.

    Examples:
        >>> _told(timedelta(seconds=90)), _told(timedelta(hours=50))
        ('90 s', '2 days')
    """
    seconds = duration.total_seconds()
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
