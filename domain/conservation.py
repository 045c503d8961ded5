"""The conservation of email: whatever was accepted is final, open or held.

An email that is none of these is astray: nothing will ever look at it again. One that
was accepted and is not there is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from .email import CLAIMABLE, Email, State
from .interventions import MARKED_SENT
from .outcome import OutcomeWord

#: What the accounts are kept by.
HOUR = timedelta(hours=1)


class Condition(StrEnum):
    """Where an accepted email can be."""

    #: It ended, and no time says when to look at it.
    FINAL = "final"
    #: A time says when the sweep looks at it.
    OPEN = "open"
    #: It waits, unknown, for an event or an operator.
    HELD = "held"
    #: None of these.
    ASTRAY = "astray"


class Contradiction(StrEnum):
    """What a stored email must not say, since no write of ours leads there."""

    #: Open, and no time says when to look at it.
    OPEN_WITHOUT_TIME = "open_without_time"
    #: Final, and a time says when to look at it.
    FINAL_WITH_TIME = "final_with_time"
    #: It waits to be claimed, and no time says from when on.
    NEVER_CLAIMABLE = "never_claimable"
    #: Somebody has it in hand, and no attempt says who.
    SENDING_WITHOUT_ATTEMPT = "sending_without_attempt"
    #: It is sent, no provider accepted it, and no operator had a hand in it.
    SENT_WITHOUT_ACCEPTANCE = "sent_without_acceptance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Emails of one hour in one state and condition.

    Attributes:
        hour: In which they were accepted; see `hour_of`.
        state: As stored: a newer release may know other words.
    """

    hour: datetime
    state: str
    condition: Condition
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The emails of one hour: what was accepted against what there is.

    Attributes:
        hour: When it began.
        accepted: By the ledger, which may know of too few and never of too many.
        final: How many of the stored ones are in this condition; so the others.
    """

    hour: datetime
    accepted: int
    final: int
    open: int
    held: int
    astray: int

    @property
    def stored(self) -> int:
        """How many there are."""
        return self.final + self.open + self.held + self.astray

    @property
    def missing(self) -> int:
        """How many were accepted and are not there, at least."""
        return max(0, self.accepted - self.stored)

    @property
    def uncounted(self) -> int:
        """How many are there and not in the ledger: so many more may be missing."""
        return max(0, self.stored - self.accepted)

    @property
    def gap(self) -> int:
        """How many broke the conservation: missing or astray."""
        return self.missing + self.astray


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How all email stands. What could not be found out in time is ``None``.

    Attributes:
        accounts: By hour, the oldest first.
        groups: All that is not final, whenever it was accepted.
        oldest_due: For how long the most overdue open email has been due; 0 if none
            is.
    """

    accounts: tuple[Account, ...] | None
    groups: tuple[Group, ...] | None
    oldest_due: timedelta | None

    @property
    def gap(self) -> int | None:
        """How many emails of all accounts broke the conservation."""
        if self.accounts is None:
            return None
        return sum(account.gap for account in self.accounts)

    def count(self, condition: Condition) -> int | None:
        """Return how many emails are in a condition other than final."""
        if self.groups is None:
            return None
        return sum(g.count for g in self.groups if g.condition is condition)


def hour_of(email_id: str) -> datetime:
    """Return the hour in which an id was made, by the clock of who made it.

    Ids begin with the second. All accounts go by this hour, never by another clock's:
    so an email cannot be accepted in one hour and stored in the next.

    Examples:
        >>> hour_of("65f000000000000000000001").isoformat()
        '2024-03-12T07:00:00+00:00'
    """
    return start_of_hour(datetime.fromtimestamp(int(email_id[:8], 16), UTC))


def start_of_hour(instant: datetime) -> datetime:
    """Return when the hour of an instant began."""
    return instant.replace(minute=0, second=0, microsecond=0)


def condition_of(email: Email) -> Condition:
    """Return where an email is."""
    if email.is_final:
        return Condition.FINAL if email.due_at is None else Condition.ASTRAY
    if email.due_at is not None:
        return Condition.OPEN
    return Condition.HELD if email.is_held else Condition.ASTRAY


def due_since(email: Email) -> datetime | None:
    """Return since when, or from when on, an open email is due.

    One that may be claimed is due from ``not_before`` on, however often the sweep has
    offered it since and moved ``due_at``; what is parked or in hand, at ``due_at``.
    """
    if email.due_at is None or email.is_final:
        return None
    if email.state in CLAIMABLE and not email.parked_for:
        return email.not_before or email.due_at
    return email.due_at


def contradiction_of(email: Email) -> Contradiction | None:
    """Return what an email says that it must not, or ``None``."""
    if condition_of(email) is Condition.ASTRAY:
        if email.is_final:
            return Contradiction.FINAL_WITH_TIME
        return Contradiction.OPEN_WITHOUT_TIME
    if email.state in CLAIMABLE and email.not_before is None:
        return Contradiction.NEVER_CLAIMABLE
    if email.state is State.SENDING and not email.attempts:
        return Contradiction.SENDING_WITHOUT_ATTEMPT
    if email.state is State.SENT and not _has_reason_to_be_sent(email):
        return Contradiction.SENT_WITHOUT_ACCEPTANCE
    return None


def _has_reason_to_be_sent(email: Email) -> bool:
    """Whether a provider accepted it, or an operator said that one has.

    After a redrive nothing tells that word from before it any more.
    """
    if any(a.outcome is OutcomeWord.ACCEPTED for a in email.attempts):
        return True
    return email.reason == MARKED_SENT or email.redrives > 0


def accounts_of(
    hours: Collection[datetime],
    *,
    accepted: Mapping[datetime, int],
    stored: Mapping[datetime, int],
    groups: Collection[Group],
) -> tuple[Account, ...]:
    """Return the account of each hour, the oldest first.

    Args:
        hours: Those to give in any case; others where something was accepted or is
            stored come too.
        accepted: What the ledger knows, read before the rest: then nothing that was
            stored meanwhile can seem to be missing.
        stored: How many emails there are.
        groups: Those of them that are not final.
    """
    return tuple(
        _account(
            hour,
            accepted=accepted.get(hour, 0),
            stored=stored.get(hour, 0),
            groups=[group for group in groups if group.hour == hour],
        )
        for hour in sorted({*hours, *accepted, *stored})
    )


def _account(
    hour: datetime, *, accepted: int, stored: int, groups: Collection[Group]
) -> Account:
    counts = dict.fromkeys(Condition, 0)
    for group in groups:
        counts[group.condition] += group.count
    unsettled = sum(counts.values())
    return Account(
        hour=hour,
        accepted=accepted,
        final=max(0, stored - unsettled),
        open=counts[Condition.OPEN],
        held=counts[Condition.HELD],
        astray=counts[Condition.ASTRAY],
    )
