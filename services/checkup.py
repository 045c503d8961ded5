"""What a doctor makes of processes, queues, providers and emails, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ..domain.archive import Counts
from ..domain.check import Check
from ..domain.email import Email
from ..domain.hint import SEND_PREFIX, provider_of
from ..domain.ports import BreakerView
from ..domain.routing import BreakerState, Health
from . import rules
from .ready import OLDEST_BEAT

#: How old the last sign of life of a tick may be. periodiq's is a minute.
OLDEST_TICK = timedelta(seconds=150)

#: How old the one of a queue's worker.
OLDEST_SERVICE = OLDEST_BEAT["worker"]

#: How long past its `due_at` an email is late, and far too late: by then several
#: sweeps should have offered it.
LATE = timedelta(minutes=2)
TOO_LATE = timedelta(minutes=15)


def of_beats(ages: Mapping[str, timedelta]) -> Iterator[Check]:
    """Judge the signs of life of the processes."""
    for part, oldest in OLDEST_BEAT.items():
        rule = rules.OF_BEATS[part]
        process = "router" if part == "sweep" else part
        seen = _seen(part, ages)
        if _is_fresh(part, ages, oldest):
            yield rule.ok(seen)
        else:
            yield rule.fail(seen, f"start `{process}`, or read its log")
    yield _tick(ages)


def _tick(ages: Mapping[str, timedelta]) -> Check:
    rule, seen = rules.SCHEDULER, _seen("scheduler", ages)
    if _is_fresh("scheduler", ages, OLDEST_TICK):
        return rule.ok(seen)
    return rule.warn(
        f"{seen}: the sweep has lost its second clock",
        "start `scheduler`, or read its log",
    )


def of_queues(
    backlog: Mapping[str, int],
    *,
    providers: Sequence[str],
    ages: Mapping[str, timedelta] | None,
) -> Iterator[Check]:
    """Judge the send queues that hold messages: does anybody take them?

    Args:
        backlog: Messages by queue.
        providers: Those that are configured.
        ages: Signs of life, by queue too; ``None`` to leave the workers out of it.
    """
    for provider in sorted({provider_of(queue) for queue in backlog}):
        rule = rules.QUEUE.of(f"{SEND_PREFIX}{provider}")
        queues = [queue for queue in backlog if provider_of(queue) == provider]
        told = _messages(sum(backlog[queue] for queue in queues))
        if provider not in providers:
            yield rule.warn(
                f"{told}, no provider of that name",
                "nothing: their emails are offered to others. `postroom providers "
                f"forget {provider}` throws the messages away",
            )
        elif ages is not None and (
            idle := [q for q in queues if not _is_fresh(q, ages, OLDEST_SERVICE)]
        ):
            waiting = _messages(sum(backlog[queue] for queue in idle))
            yield rule.warn(
                f"{waiting}, no worker serves {' and '.join(sorted(idle))}",
                "start `worker`, or read its log; is its --queues too narrow?",
            )
        else:
            yield rule.ok(told)


def _messages(count: int) -> str:
    return f"{count} message" if count == 1 else f"{count} messages"


def _is_fresh(part: str, ages: Mapping[str, timedelta], oldest: timedelta) -> bool:
    return part in ages and ages[part] <= oldest


def _seen(part: str, ages: Mapping[str, timedelta]) -> str:
    if part not in ages:
        return "never seen, or not for a day"
    return f"last seen {_told(ages[part])} ago"


def of_provider(name: str, view: BreakerView) -> Check:
    """Judge one provider."""
    health, rule = view.health, rules.PROVIDER.of(name)
    if health.drained:
        return rule.warn("drained", f"`postroom providers resume {name}` ends that")
    if health.state is not BreakerState.CLOSED:
        probe = f"next probe at {_clock_time(health.retry_at)}"
        return rule.warn(
            f"breaker {health.state.value}, {probe}",
            "read the attempts of an email that failed there",
        )
    if health.resume_at is not None:
        found = f"paused until {_clock_time(health.resume_at)}: it said 429"
        return rule.warn(found, "nothing, or send less")
    return rule.ok(
        f"breaker closed, {view.failures} of {view.calls} calls failed lately"
    )


def of_providers(views: Sequence[BreakerView]) -> Iterator[Check]:
    """Judge them together: while one can be used, email flows."""
    if not any(is_usable(view.health) for view in views):
        yield rules.PROVIDERS.fail(
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
        return rules.OLDEST_DUE.ok("nothing is overdue")
    late = now - email.due_at
    rule = rules.OLDEST_DUE
    judge = rule.fail if late > TOO_LATE else rule.warn
    return judge(
        f"{email.email_id} has been due for {_told(late)}",
        f"see that router and sweep run; `postroom show {email.email_id}`",
    )


def of_counts(counts: Counts) -> Iterator[Check]:
    """Judge how many emails there are in which state."""
    told = [f"{state.value} {count}" for state, count in counts.by_state.items()]
    yield rules.EMAILS.ok(", ".join(sorted(told)) or "none yet")
    if counts.held:
        yield rules.HELD.warn(
            f"{counts.held} emails wait for you to decide",
            "`postroom list --state unknown`, then `postroom retry ID --force`",
        )
    else:
        yield rules.HELD.ok("none")


def of_dead_letters(*, all_of_them: int, lately: int) -> Check:
    """Judge the dead letters: those of the last day are news."""
    found = f"{lately} of the last day, {all_of_them} in all"
    if lately == 0:
        return rules.DEAD_LETTERS.ok(found)
    return rules.DEAD_LETTERS.warn(
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
