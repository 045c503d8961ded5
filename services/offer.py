"""Offer again whatever is due: the net under everything that Redis can lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.email import CLAIMABLE, Email
from ..domain.hint import Hint
from ..domain.lifecycle import failed, offered
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import BreakerBoard, Clock, EmailStore, Hints
from ..domain.routing import BreakerState, ProviderProfile
from ..domain.times import is_expired

#: Emails that a sweep reads at a time, and how often at most; the next sweep goes on
#: from there.
SLICE = 1_000
SLICES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did, in counts."""

    offered: int = 0
    reconciled: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Hint at every email that is due and was not offered lately.

    Attributes:
        horizon: It also takes what falls due within this, with a delayed hint: at
            least the time until its next run.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]
    policy: Policy
    horizon: timedelta = timedelta(seconds=60)

    def __call__(self) -> Swept:
        """Sweep once.

        Raises:
            StoreUnavailableError: The store did not answer.
            HintError: Redis is away; the next sweep goes on.
        """
        now = self.clock.now()
        if self.hints.has_forgotten():
            self.store.hasten(now, before=now + LONGEST_HINT_DELAY)
            self.hints.remember()
        for profile in self.profiles:
            self._wake_parked(profile.name, now=now)
        return Swept(**Counter(self._offer_due(now)))

    def _offer_due(self, now: datetime) -> Iterator[str]:
        """Offer slice after slice, until nothing new comes or it is enough for once."""
        seen = set[str]()
        for _ in range(SLICES):
            found = self.store.due(now + self.horizon, limit=SLICE)
            new = [email for email in found if email.email_id not in seen]
            for email in new:
                seen.add(email.email_id)
                did = self._offer(email, now=now)
                if did is not None:
                    yield did
            if len(found) < SLICE or not new:
                return

    def _offer(self, email: Email, *, now: datetime) -> str | None:
        if email.state not in CLAIMABLE:
            return self._reconcile(email, now=now)
        if is_expired(email, now=now, policy=self.policy):
            change = failed(email, reason="expired", now=now)
            return "expired" if self.store.apply(change) else None
        if not _is_wanted(email, now):
            return None
        return "offered" if self._hint(email, now=now) else None

    def _hint(self, email: Email, *, now: datetime) -> bool:
        change = offered(email, now=now, policy=self.policy)
        if not self.store.apply(change):
            return False  # somebody took it, or another sweep offered it
        delay = max((email.not_before or now) - now, timedelta(0))
        self.hints.route(Hint.of(email), delay=delay)
        return True

    def _reconcile(self, email: Email, *, now: datetime) -> str | None:
        if email.due_at is None or email.due_at > now:
            return None
        self.hints.reconcile(email.email_id)
        return "reconciled"

    def _wake_parked(self, provider: str, *, now: datetime) -> None:
        """Release what waits for a healthy provider; knock at one whose time came."""
        health = self.board.health(provider)
        if health.drained or (health.resume_at and health.resume_at > now):
            return
        if health.state is BreakerState.CLOSED:
            if self.store.parked(provider, limit=1):
                self.hints.release(provider)
            return
        if health.retry_at is None or health.retry_at <= now:
            for email in self.store.parked(provider, limit=1):
                self.hints.route(Hint.of(email))


def _is_wanted(email: Email, now: datetime) -> bool:
    """Whether it is due, or falls due soon with no hint on its way."""
    if email.due_at is None or email.not_before is None:
        return False
    return email.due_at <= now or email.due_at == email.not_before
