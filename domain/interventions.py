"""What clients and operators may do to an email: cancel, move, redrive it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .attempts import maybe_out
from .change import Change
from .email import CLAIMABLE, Delivery, Email, RecipientState, State, WaitingFor
from .errors import ForbiddenTransitionError
from .lifecycle import move, sent
from .policy import Policy
from .recipients import has
from .times import due_after

#: Why an email is sent whose acceptance no provider has told: an operator knows it.
MARKED_SENT = "marked_sent"


def cancelled(email: Email, *, now: datetime, force: bool = False) -> Change:
    """Take an email back while nothing of it was sent.

    Args:
        email: Scheduled or queued, or unknown.
        now: The store's time.
        force: Whether one that may be out already is to be cancelled all the same.

    Raises:
        ForbiddenTransitionError: It is being sent, settled, or some recipients have
            it; or it may be out and ``force`` was not said.
    """
    if email.state not in CLAIMABLE | {State.UNKNOWN}:
        raise ForbiddenTransitionError(f"{email.state} cannot be cancelled")
    if has(email.recipients, RecipientState.ACCEPTED):
        raise ForbiddenTransitionError("some recipients have it already")
    if not force and (email.state is State.UNKNOWN or maybe_out(email)):
        raise ForbiddenTransitionError("it may be out already: say force to cancel")
    return move(email, State.CANCELLED, now=now, not_before=None, due_at=None)


def rescheduled(email: Email, *, to: datetime, now: datetime, policy: Policy) -> Change:
    """Move a scheduled email to another time, as long as its own has not come.

    Args:
        email: Scheduled.
        to: The new time; one that has passed means now.
        now: The store's time.
        policy: Gives the sweep's grace.

    Raises:
        ForbiddenTransitionError: It is not scheduled any more.
    """
    if email.state is not State.SCHEDULED:
        raise ForbiddenTransitionError(f"{email.state} is not scheduled")
    if email.not_before is None or email.not_before <= now:
        raise ForbiddenTransitionError("its time has come")
    not_before = max(to, now)
    return move(
        email,
        State.SCHEDULED,
        now=now,
        waiting_for=WaitingFor.SCHEDULE,
        scheduled_at=to,
        first_due_at=not_before,
        not_before=not_before,
        due_at=due_after(not_before, wait=not_before - now, policy=policy),
    )


def redriven(
    email: Email, *, now: datetime, policy: Policy, force: bool = False
) -> Change:
    """Let a dead letter go again, with a full share of attempts and a new age.

    Its refused recipients are pending again.

    Args:
        email: A dead letter, or unknown.
        now: The store's time.
        policy: Gives the sweep's grace.
        force: Whether one that may be out already is to be sent again.

    Raises:
        ForbiddenTransitionError: It is no dead letter, its content is erased, or it
            may be out and ``force`` was not said.
    """
    _require_redrivable(email, force=force)
    recipients = tuple(
        replace(r, state=RecipientState.PENDING, code=None)
        if r.state is RecipientState.REFUSED
        else r
        for r in email.recipients
    )
    return move(
        email,
        State.QUEUED,
        now=now,
        recipients=recipients,
        reason=None,
        reason_detail=None,
        not_before=now,
        due_at=now + policy.sweep_grace,
        round=email.round + 1,
        first_round=email.round + 1,
        redriven_at=now,
        redrives=email.redrives + 1,
        dead_at=None,
    )


def marked_sent(email: Email, *, now: datetime) -> Change:
    """Settle an email that may be out as sent, on an operator's word.

    Its attempts stay as they are: nobody has told what became of them. The reason
    says whose word it was.

    Args:
        email: Unknown, queued or failed, and one of its attempts may be out.
        now: The store's time.

    Raises:
        ForbiddenTransitionError: None of it can be out, it is being sent, or it is
            settled otherwise.
    """
    if email.state not in {State.UNKNOWN, State.QUEUED, State.FAILED}:
        raise ForbiddenTransitionError(f"{email.state} cannot be marked as sent")
    out = set(maybe_out(email))
    reached = {i for a in email.attempts if a.id in out for i in a.reached}
    if not reached:
        raise ForbiddenTransitionError("nothing of it can be out: retry it")
    # With nobody left to try, it is the refused who turn out to have it.
    wanting = reached.intersection(email.pending) or reached
    recipients = tuple(
        replace(r, state=RecipientState.ACCEPTED, code=None) if index in wanting else r
        for index, r in enumerate(email.recipients)
    )
    change = sent(replace(email, recipients=recipients), now=now)
    after = replace(change.after, reason=MARKED_SENT)
    return replace(change, before=email, after=after)


def _require_redrivable(email: Email, *, force: bool) -> None:
    if email.erased_at is not None:
        raise ForbiddenTransitionError("its content was erased")
    if email.dead_at is None and email.state is not State.UNKNOWN:
        raise ForbiddenTransitionError(f"{email.state} is no dead letter")
    wanting = {RecipientState.PENDING, RecipientState.REFUSED}
    if wanting.isdisjoint(recipient.state for recipient in email.recipients):
        raise ForbiddenTransitionError("all its recipients have it")
    is_unsure = email.delivery is Delivery.AT_MOST_ONCE and bool(maybe_out(email))
    if not force and (email.state is State.UNKNOWN or is_unsure):
        raise ForbiddenTransitionError("it may be out already: say force to send again")
