"""What must hold of every email, write, call and end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from postroom.domain.attempts import since_redrive
from postroom.domain.email import Delivery, Email, Recipient, RecipientState, State
from postroom.domain.interventions import MARKED_SENT
from postroom.domain.lifecycle import EDGES
from postroom.domain.outcome import RefusalKind
from postroom.domain.policy import Policy
from postroom.domain.times import is_too_old
from tests.model.ports import Write
from tests.model.world import Copy

#: What an operator asks for may move a settled email.
REDRIVES = frozenset({"redrive", "redrive by force"})


def wrong_with_email(email: Email) -> Iterator[str]:
    """Give what is wrong with an email as it is stored."""
    waits = not (email.is_final or email.is_held)
    if waits is not (email.due_at is not None):
        yield "open, and nobody looks at it again"
    is_in_hand = any(attempt.ended_at is None for attempt in email.attempts[-1:])
    if email.state is State.SENDING and not is_in_hand:
        yield "in hand without an attempt under way"
    if email.erased_at is not None:
        yield from _wrong_with_erased(email)


def _wrong_with_erased(email: Email) -> Iterator[str]:
    """Give what is wrong with an email of which nothing was to be left."""
    if not email.is_final:
        yield "erased, and open"
    names = [recipient.addr_spec for recipient in email.recipients]
    words = [attempt.detail for attempt in email.attempts]
    content = email.content and (email.content.subject, email.content.text)
    if any([*names, *words, *(content or ())]):
        yield "erased, and it says something again"


def wrong_with_write(
    write: Write, *, verb: str, now: datetime, policy: Policy, names: Collection[str]
) -> Iterator[str]:
    """Give what is wrong with a write that the store has taken."""
    before, after = write.stored, write.change.after
    is_offer = after.offers == before.offers + 1
    if after.fence != before.fence + (0 if is_offer else 1):
        yield "a write that did not move the fence by one"
    if len(after.attempts) < len(before.attempts):
        yield "an attempt was forgotten"
    if after.state is before.state:
        return
    if after.state not in EDGES[before.state]:
        yield "a move that the lifecycle does not have"
    if before.is_final and after.state is not State.SENT and verb not in REDRIVES:
        yield "a settled email was opened again"
    if after.state is State.FAILED and not _may_fail(
        before, after, now=now, policy=policy, names=names
    ):
        yield "failed without a refusal meant for it"


def _may_fail(
    before: Email,
    after: Email,
    *,
    now: datetime,
    policy: Policy,
    names: Collection[str],
) -> bool:
    """Whether the promise lets an email fail for the reason that it gives."""
    if after.reason == "expired":
        return is_too_old(before, now=now, policy=policy)
    kinds = {
        kind: {a.provider for a in since_redrive(after) if a.kind is kind}
        for kind in RefusalKind
    }
    if after.reason == "refused":
        return bool(kinds[RefusalKind.PERMANENT])
    able = {after.provider} if after.provider else set(names)
    return kinds[RefusalKind.SENDER] == able


def wrong_with_call(
    email: Email, claimed: Email, *, now: datetime, is_cancelled: bool
) -> Iterator[str]:
    """Give what is wrong with a call that begins now.

    Args:
        email: As it is stored.
        claimed: As the caller claimed it.
        now: The store's time.
        is_cancelled: Its client was told so, without force.
    """
    if is_cancelled:
        yield "sent after it was cancelled"
    mine = claimed.attempts[-1]
    last = email.attempts[-1] if email.attempts else None
    if email.attempt(mine.id) is None:
        yield "called before the intention was written"
    elif last is None or last.id != mine.id or not _is_leased(email, now=now):
        yield "called without a lease"
    is_early = claimed.not_before is None or claimed.not_before > now
    if is_early or (email.scheduled_at is not None and email.scheduled_at > now):
        yield "sent before its time"
    rests = (a.retry_at for a in since_redrive(claimed) if a.provider == mine.provider)
    if any(until is not None and until > now for until in rests):
        yield "called a provider that was to be left alone"


def _is_leased(email: Email, *, now: datetime) -> bool:
    in_time = email.due_at is not None and email.due_at > now
    return email.state is State.SENDING and in_time


def wrong_with_copy(
    email: Email, copy: Copy, others: Collection[Copy], *, forced: bool
) -> Iterator[str]:
    """Give what is wrong with one more email at a provider.

    Args:
        email: As it is stored.
        copy: What the provider takes now.
        others: What any provider took before for one of the same recipients.
        forced: An operator had it sent again though it may be out.
    """
    if not others:
        return
    if email.delivery is Delivery.AT_MOST_ONCE and not forced:
        yield "at most once, and twice"
    if not forced and any(_might_repeat(email, copy, other) for other in others):
        yield "twice at a provider that would have known a repetition"
    ledger = {
        frozenset({d.attempt_id, earlier})
        for d in email.possible_duplicates
        for earlier in d.earlier
    }
    if any(frozenset({copy.attempt, o.attempt}) not in ledger for o in others):
        yield "a copy that no record explains"
    if len(others) > len(email.possible_duplicates):
        yield "more copies than possible duplicates"


def _might_repeat(email: Email, copy: Copy, other: Copy) -> bool:
    """Whether one copy could have been a mere repetition of another.

    A redrive is another email, with keys of its own.
    """
    mine, its = email.attempt(copy.attempt), email.attempt(other.attempt)
    return (
        mine is not None
        and its is not None
        and mine.provider == its.provider
        and its.round >= email.first_round
        and its.key_until is not None
        and mine.started_at <= its.key_until
    )


def wrong_with_end(
    email: Email, copies: Collection[Copy], *, heard: Collection[int]
) -> Iterator[str]:
    """Give what is wrong with an email that came to rest.

    Args:
        email: As it is stored, final or held.
        copies: What the providers took.
        heard: Positions of recipients for whom an acceptance was recorded.
    """
    told = {i for i, r in enumerate(email.recipients) if _is_accepted(r)}
    is_open = any(r.state is RecipientState.PENDING for r in email.recipients)
    if not told.issuperset(heard) or (
        heard and not is_open and email.state is not State.SENT
    ):
        yield "an acceptance was heard, and it is not sent"
    reached = {index for copy in copies for index in copy.recipients}
    if email.reason != MARKED_SENT and not told <= reached:
        yield "called sent, and no provider took it"
    if email.state is State.SENT and not told:
        yield "called sent, and nobody has it"


def _is_accepted(recipient: Recipient) -> bool:
    return recipient.state is RecipientState.ACCEPTED
