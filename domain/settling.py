"""What an outcome makes of an email: sent, waiting, unknown, held or failed.

The decisions of docs/adr/0021-four-outcomes.md as pure functions. A result may come
from whoever has the email in hand, or late from one who lost it; both end here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from . import lifecycle
from .attempts import (
    TOO_LATE,
    retry_at,
    share,
    since_redrive,
    standing_of,
    waits_so_far,
)
from .change import Change
from .doubt import awaited, lapsed, repeated
from .duplicates import confirmed
from .email import (
    Attempt,
    Delivery,
    Email,
    State,
)
from .erasure import is_erased_whole
from .keys import repeatable
from .outcome import (
    Accepted,
    NotSent,
    Outcome,
    OutcomeWord,
    RefusalKind,
    Refused,
    Unknown,
)
from .policy import Policy
from .recipients import refused_of, told
from .retry import at_least, next_delay
from .times import is_too_old

#: States that a late acceptance of all recipients settles as sent. From ``sending``
#: the attempt in hand does that, when it is recorded.
SETTLED_LATE = frozenset(
    {State.QUEUED, State.UNKNOWN, State.FAILED, State.CANCELLED},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one attempt.

    Attributes:
        latency: How long the call took.
        jitter: A draw from [0, 1) for the back-off.
        others: Providers that could have the email now, or after its own back-off
            there, without the attempt's own.
    """

    attempt_id: str
    outcome: Outcome
    latency: timedelta
    jitter: float
    others: Collection[str] = ()


def record(
    email: Email, result: Result, *, now: datetime, policy: Policy
) -> Change | None:
    """Return the write that records a result, or ``None`` if there is nothing to write.

    An acceptance is a fact and wins, however late and from whoever. Another late
    result corrects its attempt only, unless it was the last uncertain one of an
    unknown email, which is then settled by what is certain.

    Args:
        email: As it stands in the store now.
        result: Of one of its attempts.
        now: The store's time.
        policy: The limits and waits.
    """
    attempt = email.attempt(result.attempt_id)
    if attempt is None or not _is_news(attempt, result.outcome):
        return None
    ended = _ended(email, attempt, result, now=now, policy=policy)
    after = _with_attempt(email, ended)
    after = confirmed(after, ended, result.outcome, now=now)
    in_hand = _is_in_hand(email, attempt)
    decides = _decides(email, ended) if in_hand else _decides_late(after, ended)
    after = told(after, ended, result.outcome, decides=decides)
    change = (
        _settle(after, ended, result, now=now, policy=policy)
        if in_hand
        else _settle_late(after, ended, now=now, policy=policy)
    )
    return None if change is None else replace(change, before=email)


def _is_news(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether an outcome tells more of an attempt than what is written there.

    Nothing is written twice. What was in doubt may be cleared up by anybody, and an
    acceptance also clears up a refusal.
    """
    if attempt.ended_at is None:
        return True
    if isinstance(outcome, Accepted):
        return attempt.outcome is not OutcomeWord.ACCEPTED
    in_doubt = attempt.outcome is OutcomeWord.UNKNOWN
    return in_doubt and not isinstance(outcome, Unknown)


def _is_in_hand(email: Email, attempt: Attempt) -> bool:
    is_last = email.attempts[-1].id == attempt.id
    return email.state is State.SENDING and is_last and attempt.ended_at is None


def lapse(email: Email, *, now: datetime, policy: Policy) -> Change | None:
    """Return what becomes of an email whose lease, or whose wait, is over.

    A lease that ran out is an attempt whose outcome is unknown. An unknown email
    whose wait is over goes again or is held, as its client asked.
    """
    if email.due_at is None or email.due_at > now:
        return None
    if email.state is State.SENDING:
        if not email.pending:
            return lifecycle.ended(email, now=now)
        return lapsed(email, now=now, policy=policy)
    if email.state is State.UNKNOWN:
        return lifecycle.queued(email, now=now, wait=timedelta(0), policy=policy)
    return None


def _settle(
    email: Email,
    attempt: Attempt,
    result: Result,
    *,
    now: datetime,
    policy: Policy,
) -> Change:
    """Settle by the result of the attempt that has the email in hand."""
    if not email.pending:
        # Also when the acceptance of an older attempt came in while this one ran: it
        # is sent then, whatever this one says.
        return lifecycle.ended(email, now=now)
    outcome = result.outcome
    if isinstance(outcome, Accepted):
        # Whoever turned some recipients away for now is to be asked again.
        alone = replace(result, others=())
        return _again(email, attempt, alone, now=now, policy=policy)
    in_doubt = _in_doubt(email, attempt, result, now=now, policy=policy)
    if in_doubt is not None:
        return in_doubt
    if isinstance(outcome, Refused):
        return _refused(email, attempt, outcome, result, now=now, policy=policy)
    return _again(email, attempt, result, now=now, policy=policy)


def _in_doubt(
    email: Email,
    attempt: Attempt,
    result: Result,
    *,
    now: datetime,
    policy: Policy,
) -> Change | None:
    """Settle an email that may be out, or return ``None`` if it may go on all the same.

    A refusal in doubt is nobody's reason to wait, but where the provider can repeat
    the attempt without harm, and where an email must not go twice.
    """
    tied = repeatable(email, attempt.provider, now=now)
    if tied is not None:
        rest = retry_at(email, attempt.provider) or now
        delay = _delay(email, attempt.provider, result, policy=policy)
        wait = max(rest - now, delay)
        again = repeated(email, attempt.provider, wait=wait, now=now, policy=policy)
        if again is not None:
            return again
    unsure = next((a for a in (attempt, tied) if a and _is_unknown(a)), None)
    if unsure is None and email.delivery is Delivery.AT_MOST_ONCE:
        unsure = attempt if _may_be_out(email) else None
    if unsure is None:
        return None
    return awaited(email, unsure, now=now, policy=policy)


def _refused(
    email: Email,
    attempt: Attempt,
    outcome: Refused,
    result: Result,
    *,
    now: datetime,
    policy: Policy,
) -> Change:
    match outcome.kind:
        case RefusalKind.SENDER | RefusalKind.ACCOUNT:
            # The router knows who is left, and says so if there is nobody.
            return lifecycle.queued(email, now=now, wait=timedelta(0), policy=policy)
        case RefusalKind.TRANSIENT | RefusalKind.PERMANENT:
            # After a refusal for good these are recipients refused for now before it.
            return _again(email, attempt, result, now=now, policy=policy)
        case _:
            assert_never(outcome.kind)


def _again(
    email: Email,
    attempt: Attempt,
    result: Result,
    *,
    now: datetime,
    policy: Policy,
) -> Change:
    """Queue for the next provider at once, for a back-off, or for a new round.

    At once only for a provider with fewer attempts. Else the back-off of this attempt
    is the least wait, and a provider that asked for a longer one keeps its own wait
    to itself: the first that can have the email again ends it. A new round begins
    when all that can have it by then have had their share.
    """
    tries = standing_of(email).tries
    here = tries.get(attempt.provider, 0)
    ready = {
        name: max(retry_at(email, name) or now, now)
        for name in (attempt.provider, *result.others)
    }
    if any(ready[name] == now and tries.get(name, 0) < here for name in ready):
        return lifecycle.queued(email, now=now, wait=timedelta(0), policy=policy)
    if is_too_old(email, now=now, policy=policy):
        return lifecycle.failed(email, reason="expired", now=now)
    least = _delay(email, attempt.provider, result, policy=policy)
    until = max(min(ready.values()), now + least)
    limit = share(email, policy)
    return lifecycle.queued(
        email,
        now=now,
        wait=until - now,
        policy=policy,
        new_round=not any(
            at <= until and tries.get(name, 0) < limit for name, at in ready.items()
        ),
    )


def _delay(email: Email, provider: str, result: Result, *, policy: Policy) -> timedelta:
    """Return the back-off after a result, whatever the provider asks for."""
    outcome = result.outcome
    if isinstance(outcome, NotSent) and outcome.late:
        return timedelta(0)
    waits = waits_so_far(email, provider, policy)
    return next_delay(policy, waits, jitter=result.jitter)


def _settle_late(
    email: Email,
    attempt: Attempt,
    *,
    now: datetime,
    policy: Policy,
) -> Change | None:
    """Settle by a result whose email has meanwhile gone on without it."""
    if attempt.outcome is OutcomeWord.UNKNOWN:
        return None
    accepted = attempt.outcome is OutcomeWord.ACCEPTED
    if accepted and email.state in SETTLED_LATE and _is_settled_by_it(email):
        return lifecycle.sent(email, now=now)
    if email.state is State.UNKNOWN and not _may_be_out(email):
        if not email.pending:
            return lifecycle.ended(email, now=now)
        return lifecycle.queued(email, now=now, wait=timedelta(0), policy=policy)
    return lifecycle.corrected(_untied(email, now=now), now=now)


def _untied(email: Email, *, now: datetime) -> Email:
    """Return the email without its bond, if news of its attempts has ended that."""
    name = email.bound_to
    if name is None or repeatable(email, name, now=now) is not None:
        return email
    return email if _may_be_out(email) else replace(email, bound_to=None)


def _decides(email: Email, attempt: Attempt) -> bool:
    """Whether the refusals of the attempt in hand count: not those in doubt.

    Where an email must not go twice, what is in doubt is nobody's last word.
    """
    return attempt.certain is not False or email.delivery is Delivery.AT_LEAST_ONCE


def _decides_late(email: Email, attempt: Attempt) -> bool:
    """Whether the refusals of a late result count: not over another attempt."""
    if email.is_final:
        return attempt.outcome is OutcomeWord.ACCEPTED
    return email.state is State.UNKNOWN and not _may_be_out(email)


def _is_settled_by_it(email: Email) -> bool:
    """Whether an acceptance leaves nothing to do: for all, or nobody was to do it."""
    return not email.pending or email.is_final


def _may_be_out(email: Email) -> bool:
    return any(a.may_be_out for a in since_redrive(email))


def _ended(
    email: Email,
    attempt: Attempt,
    result: Result,
    *,
    now: datetime,
    policy: Policy,
) -> Attempt:
    """Return the attempt with its outcome written in."""
    outcome = result.outcome
    delay = partial(_delay, email, attempt.provider, result, policy=policy)
    ended = partial(
        replace,
        attempt,
        ended_at=now,
        refused=refused_of(outcome),
        latency_ms=round(result.latency / timedelta(milliseconds=1)),
    )
    match outcome:
        case Accepted():
            return ended(
                outcome=OutcomeWord.ACCEPTED,
                provider_message_id=outcome.provider_message_id,
                retry_at=now + delay() if outcome.refused else None,
            )
        case Refused():
            return ended(
                outcome=OutcomeWord.REFUSED,
                kind=outcome.kind,
                certain=outcome.certain,
                code=outcome.code,
                detail=_words(email, outcome.detail),
                retry_at=now + at_least(delay(), outcome.retry_after),
            )
        case NotSent():
            return ended(
                outcome=OutcomeWord.NOT_SENT,
                code=TOO_LATE if outcome.late else outcome.cause,
                detail=_words(email, outcome.detail),
                retry_at=now + delay(),
            )
        case Unknown():
            return ended(
                outcome=OutcomeWord.UNKNOWN,
                code=outcome.cause,
                detail=_words(email, outcome.detail),
            )
        case _:
            assert_never(outcome)


def _words(email: Email, detail: str) -> str | None:
    """Return a provider's words; not once names are erased, for they may hold one."""
    return None if is_erased_whole(email) else detail or None


def _is_unknown(attempt: Attempt) -> bool:
    return attempt.outcome is OutcomeWord.UNKNOWN


def _with_attempt(email: Email, attempt: Attempt) -> Email:
    attempts = tuple(attempt if a.id == attempt.id else a for a in email.attempts)
    return replace(email, attempts=attempts)
