"""The states of an email and the only functions that change them.

Each transition takes the email as it was read and returns the guarded write that
makes it what it becomes; nothing is changed in place. ``docs/lifecycle.md`` draws
``EDGES``, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from .change import Change, Guard
from .duplicates import possible
from .email import (
    CLAIMABLE,
    FINAL_STATES,
    Attempt,
    Email,
    PossibleDuplicate,
    RecipientState,
    State,
    WaitingFor,
)
from .errors import ForbiddenTransitionError
from .keys import Key
from .policy import LONGEST_OFFER_WAIT, Policy
from .recipients import given_up, has
from .times import due_after

#: Every edge of the lifecycle. From a final state ``sent`` is a late acceptance, and
#: ``queued`` a redrive.
EDGES: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset(
        {State.SCHEDULED, State.QUEUED, State.SENDING, State.FAILED, State.CANCELLED},
    ),
    State.QUEUED: frozenset(
        {
            State.QUEUED,
            State.SENDING,
            State.UNKNOWN,
            State.SENT,
            State.FAILED,
            State.CANCELLED,
        },
    ),
    State.SENDING: frozenset(
        {State.SENDING, State.SENT, State.QUEUED, State.UNKNOWN, State.FAILED},
    ),
    State.UNKNOWN: frozenset(
        {State.UNKNOWN, State.SENT, State.QUEUED, State.FAILED, State.CANCELLED},
    ),
    State.SENT: frozenset({State.SENT, State.QUEUED}),
    State.FAILED: frozenset({State.FAILED, State.SENT, State.QUEUED}),
    State.CANCELLED: frozenset({State.CANCELLED, State.SENT}),
    State.SUPPRESSED: frozenset(),
}


def claim(
    email: Email,
    *,
    provider: str,
    attempt_id: str,
    now: datetime,
    policy: Policy,
    key: Key | None = None,
) -> Change:
    """Take an email for one attempt: the intention is durable before a byte leaves.

    The same write names the earlier attempts that may be out, so that no possible
    duplicate goes unrecorded. One that this attempt only repeats is none.

    Args:
        email: As loaded.
        provider: Who is to have it.
        attempt_id: Proof of whose claim it is.
        now: The store's time.
        policy: Gives the lease.
        key: The idempotency key that it will be sent with, if the provider takes any.

    Raises:
        ForbiddenTransitionError: The email is not claimable, or not yet.
    """
    _require_claimable(email)
    if email.not_before is None or email.not_before > now:
        raise ForbiddenTransitionError(f"no claim before {email.not_before}")
    if not email.pending:
        raise ForbiddenTransitionError("no recipient is pending")
    attempt = Attempt(
        id=attempt_id,
        no=len(email.attempts) + 1,
        round=email.round,
        provider=provider,
        recipients=email.pending,
        started_at=now,
        key=key.value if key else None,
        key_until=key.until if key else None,
    )
    earlier = possible(email, key, provider=provider, now=now)
    duplicate = PossibleDuplicate(attempt_id=attempt_id, earlier=earlier, at=now)
    after = _moved(
        email,
        State.SENDING,
        now=now,
        due_at=now + policy.lease,
        attempts=(*email.attempts, attempt),
        possible_duplicates=(
            (*email.possible_duplicates, duplicate)
            if earlier
            else email.possible_duplicates
        ),
    )
    guard = Guard(
        fence=email.fence,
        states=CLAIMABLE,
        not_before_by=now,
        pending=email.pending,
    )
    return Change(guard=guard, before=email, after=after)


def ended(email: Email, *, now: datetime) -> Change:
    """Settle an email of which no recipient is pending any more."""
    if has(email.recipients, RecipientState.ACCEPTED):
        return sent(email, now=now)
    return failed(email, reason="refused", now=now)


def sent(email: Email, *, now: datetime) -> Change:
    """Settle an email that a provider has accepted, from whichever state.

    Recipients that are still pending are given up: it is a dead letter for them.
    """
    settled = given_up(email, reason=email.reason or "refused")
    is_dead = has(settled.recipients, RecipientState.REFUSED)
    return move(
        email,
        State.SENT,
        now=now,
        recipients=settled.recipients,
        reason=None,
        reason_detail=None,
        not_before=None,
        due_at=None,
        sent_at=email.sent_at or now,
        dead_at=(email.dead_at or now) if is_dead else None,
    )


def queued(
    email: Email,
    *,
    now: datetime,
    wait: timedelta,
    policy: Policy,
    new_round: bool = False,
    bound_to: str | None = None,
) -> Change:
    """Let an email wait for its next attempt.

    Args:
        email: In any open state.
        now: The store's time.
        wait: How long until the next attempt; zero for at once.
        policy: Gives the sweep's grace.
        new_round: Each provider's share starts anew.
        bound_to: The only provider that may have it from now on. One that waits
            already stays bound.

    Raises:
        ForbiddenTransitionError: The email is settled; only a redrive changes that.
    """
    if email.is_final:
        raise ForbiddenTransitionError(f"{email.state} waits for no attempt")
    not_before = now + wait
    return move(
        email,
        State.QUEUED,
        now=now,
        waiting_for=WaitingFor.BACKOFF if wait else None,
        not_before=not_before,
        due_at=due_after(not_before, wait=wait, policy=policy),
        round=email.round + 1 if new_round else email.round,
        bound_to=bound_to or _bond(email),
    )


def park(
    email: Email,
    *,
    until: datetime,
    providers: Sequence[str],
    is_probe: bool,
    now: datetime,
    policy: Policy,
) -> Change:
    """Let an email wait for the first of some providers to come back.

    Args:
        email: Queued or scheduled.
        until: When the first of them may be tried again.
        providers: Those whose return releases it.
        is_probe: It is the one that knocks at ``until``; the others wait for the
            release.
        now: The store's time.
        policy: Gives the sweep's grace.

    Raises:
        ForbiddenTransitionError: Somebody has it in hand, or it is settled.
    """
    _require_claimable(email)
    not_before = max(until, now)
    return move(
        email,
        State.QUEUED,
        now=now,
        waiting_for=WaitingFor.PROVIDER,
        parked_for=tuple(providers),
        bound_to=_bond(email),
        not_before=not_before,
        due_at=(
            due_after(not_before, wait=not_before - now, policy=policy)
            if is_probe
            else now + LONGEST_OFFER_WAIT
        ),
    )


def unknown(email: Email, *, now: datetime, until: datetime | None) -> Change:
    """Record that nobody can say whether an email went out.

    Args:
        email: Being sent, unknown already, or queued for the provider that may have
            it, which cannot repeat it any more.
        now: The store's time.
        until: When to stop waiting for word of it; ``None`` holds it until an event
            or an operator settles it.
    """
    return move(
        email,
        State.UNKNOWN,
        now=now,
        waiting_for=WaitingFor.OPERATOR if until is None else WaitingFor.OUTCOME,
        not_before=None,
        due_at=until,
    )


def failed(email: Email, *, reason: str, now: datetime, detail: str = "") -> Change:
    """Make an email a dead letter.

    One that some recipients have is ``sent`` all the same: it is a dead letter for
    the others only.

    Args:
        email: In any open state.
        reason: One word for programs: ``refused``, ``no_provider``,
            ``sender_not_allowed``, ``expired``, ``unbuildable``.
        now: The store's time.
        detail: More on the reason, for people.

    Raises:
        ForbiddenTransitionError: The email is settled.
    """
    if email.is_final:
        raise ForbiddenTransitionError(f"{email.state} is settled, it cannot fail")
    if has(email.recipients, RecipientState.ACCEPTED):
        change = sent(given_up(email, reason=reason), now=now)
        return replace(change, before=email)
    return move(
        email,
        State.FAILED,
        now=now,
        reason=reason,
        reason_detail=detail or None,
        not_before=None,
        due_at=None,
        dead_at=now,
    )


def corrected(email: Email, *, now: datetime) -> Change:
    """Write a late result into its attempt and leave the state alone.

    The fence moves on all the same, so that whoever has the email in hand misses it,
    reloads and sees the result.
    """
    after = replace(
        email, fence=email.fence + 1, updated_at=now, dead_at=_dead_since(email)
    )
    return Change(guard=_guard(email), before=email, after=after)


def _dead_since(email: Email) -> datetime | None:
    """Return since when it is a dead letter; a late acceptance may have ended that."""
    is_sent = email.state is State.SENT
    if is_sent and not has(email.recipients, RecipientState.REFUSED):
        return None
    return email.dead_at


def offered(email: Email, *, now: datetime, policy: Policy) -> Change:
    """Note that the sweep has offered an email, so that it is not offered at once.

    The fence stays: an offer gives and takes no right. ``due_at`` moves on by the
    grace, doubled with each offer, by at most 15 minutes.
    """
    _require_claimable(email)
    if email.due_at is None or email.not_before is None:
        raise ForbiddenTransitionError(f"{email.state} without a time is not offered")
    wait = min(policy.sweep_grace * (1 << min(email.offers, 20)), LONGEST_OFFER_WAIT)
    after = replace(
        email,
        due_at=max(now, email.not_before) + wait,
        offers=email.offers + 1,
    )
    guard = Guard(fence=email.fence, states=CLAIMABLE, due_at=email.due_at)
    return Change(guard=guard, before=email, after=after)


def move(email: Email, to: State, *, now: datetime, **values: Any) -> Change:
    """Return the guarded write of a move along an edge.

    Args:
        email: As read.
        to: The state it goes to.
        now: The store's time.
        values: What else becomes of its fields.

    Raises:
        ForbiddenTransitionError: The lifecycle has no such edge.
    """
    _require(email, to)
    return Change(
        guard=_guard(email),
        before=email,
        after=_moved(email, to, now=now, **values),
    )


def _moved(email: Email, to: State, *, now: datetime, **values: Any) -> Email:
    """Return the email in its new state, with what every move resets."""
    defaults: dict[str, Any] = {
        "state": to,
        "fence": email.fence + 1,
        "updated_at": now,
        "offers": 0,
        "waiting_for": None,
        "parked_for": (),
        "bound_to": None,
        "final_at": _final_at(email, to, now),
    }
    return replace(email, **(defaults | values))


def _bond(email: Email) -> str | None:
    """Return whom an email is bound to as long as it only waits."""
    return email.bound_to if email.state in CLAIMABLE else None


def _final_at(email: Email, to: State, now: datetime) -> datetime | None:
    if to not in FINAL_STATES or email.erased_at is not None:
        return None
    return email.final_at or now


def _guard(email: Email) -> Guard:
    return Guard(fence=email.fence, states=frozenset({email.state}))


def _require_claimable(email: Email) -> None:
    if email.state not in CLAIMABLE:
        raise ForbiddenTransitionError(f"{email.state} waits for no provider")


def _require(email: Email, to: State) -> None:
    if to not in EDGES[email.state]:
        raise ForbiddenTransitionError(f"{email.state} does not lead to {to}")


__all__ = [
    "EDGES",
    "claim",
    "corrected",
    "ended",
    "failed",
    "move",
    "offered",
    "park",
    "queued",
    "sent",
    "unknown",
]
