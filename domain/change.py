"""A guarded write: what must still be true, and what then becomes true.

The guard is one value that the domain checks on an email and an adapter turns into
a filter of the store; a test compares the two over all states.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from .email import Email, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What must hold of the stored email for a change to be written.

    Attributes:
        fence: The fence that the change was made from.
        states: The states that it may be in.
        not_before_by: ``not_before`` must be at or before this instant.
        due_at: ``due_at`` must be this very instant (an offer leaves the fence alone
            and so has to match what it moves).
        pending: Positions of recipients that must be pending: an acceptance, from
            whichever attempt, takes a recipient out of that.
    """

    fence: int
    states: frozenset[State]
    not_before_by: datetime | None = None
    due_at: datetime | None = None
    pending: tuple[int, ...] | None = None

    def admits(self, email: Email) -> bool:
        """Return whether the change may be written over this email."""
        return (
            email.fence == self.fence
            and email.state in self.states
            and (
                self.not_before_by is None
                or (
                    email.not_before is not None
                    and email.not_before <= self.not_before_by
                )
            )
            and (self.due_at is None or email.due_at == self.due_at)
            and (self.pending is None or set(self.pending) <= set(email.pending))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write to one email.

    Attributes:
        before: The email that was read.
        after: The email as it becomes; only what differs is written.
    """

    guard: Guard
    before: Email
    after: Email

    @property
    def email_id(self) -> str:
        """The email that it is for."""
        return self.before.email_id

    @property
    def is_own(self) -> bool:
        """Whether no other write can look like this one; an offer can."""
        return self.after.fence != self.before.fence

    def is_in(self, email: Email) -> bool:
        """Return whether this very change has been written: by an earlier try.

        A write whose answer was lost is repeated, and its guard no longer holds then.
        An offer is nobody's own: equal ones are made at a time, and one that is not
        followed by its hint is made again.
        """
        if not self.is_own:
            return False
        return all(
            getattr(email, field.name) == getattr(self.after, field.name)
            for field in fields(Email)
            if getattr(self.before, field.name) != getattr(self.after, field.name)
        )
