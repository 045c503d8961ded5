"""Offer again whatever is due: the net under everything that Redis can lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..domain.change import Change
from ..domain.email import CLAIMABLE, Email
from ..domain.hint import Hint
from ..domain.lifecycle import failed, offered
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import BreakerBoard, Clock, EmailStore, Hints
from ..domain.routing import BreakerState, ProviderProfile
from ..domain.times import is_expired
from .asked import Asked

#: Emails that a sweep reads at a time, and how often at most; the next sweep goes on
#: from there.
SLICE = 1_000
SLICES = 20

#: While so many hints wait in Redis, only what is fresh is offered. That bounds what
#: they take of its memory, at less than a kilobyte each, and most of them are taken
#: before they would be offered once more. It is work for some seconds at least.
MOST_WAITING = 10_000

#: What fell due within this does not wait for a backlog: some periods of the sweep.
LATELY = timedelta(seconds=60)

#: Emails that are written, and then hinted at, together. What a lost batch of hints
#: leaves without one is made due again as soon as Redis is back.
BATCH = 100


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
        asked: Which emails reconcile was asked for lately: their own times say nothing
            of that, and a queue that is slow must not get the same ones again and
            again.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]
    policy: Policy
    horizon: timedelta = timedelta(seconds=60)
    asked: Asked = field(default_factory=Asked)

    def __call__(self) -> Swept:
        """Sweep once.

        Raises:
            StoreUnavailableError: The store did not answer.
            HintError: Redis is away; the next sweep goes on.
        """
        now = self.clock.now()
        if self.hints.has_forgotten():
            self.store.hasten(now, before=now + LONGEST_HINT_DELAY)
            self.asked.forget()
            self.hints.remember()
        for profile in self.profiles:
            self._wake_parked(profile.name, now=now)
        swept = Counter[str]()
        for batch, last in self._batches(now):
            # A backlog takes its time.
            swept += self._take(batch, now=self.clock.now(), last=last)
        return Swept(**swept)

    def _batches(self, now: datetime) -> Iterator[tuple[list[Email], bool]]:
        """Give what is due, slice after slice, and whether it goes last."""
        until, seen = now + self.horizon, set[str]()
        for number in range(SLICES):
            found = self.store.due(until, limit=SLICE)
            is_backlog, before = len(found) == SLICE, len(seen)
            is_full = bool(found) and self.hints.waiting() >= MOST_WAITING
            if number == 0 and (is_backlog or is_full):
                lately = self.store.due(until, since=now - LATELY, limit=SLICE)
                yield from _cut(lately, seen, last=False)
            if is_full:
                found = [each for each in found if not self._may_claim(each, now)]
            yield from _cut(found, seen, last=is_backlog or number > 0)
            if not is_backlog or is_full or len(seen) == before:
                return

    def _take(
        self, batch: Sequence[Email], *, now: datetime, last: bool
    ) -> Counter[str]:
        """Do with each what its time asks for; ``last`` lets others go before them."""
        expired, wanted, lapsed = list[Email](), list[Email](), list[Email]()
        for email in batch:
            if email.state not in CLAIMABLE:
                lapsed.append(email)
            elif not self._may_claim(email, now):
                expired.append(email)
            elif _is_wanted(email, now):
                wanted.append(email)
        return Counter(
            expired=self._fail(expired, now=now),
            offered=self._offer(wanted, now=now, last=last),
            reconciled=self._reconcile(lapsed, now=now),
        )

    def _may_claim(self, email: Email, now: datetime) -> bool:
        """Whether a hint is of any use."""
        is_old = is_expired(email, now=now, policy=self.policy)
        return email.state in CLAIMABLE and not is_old

    def _fail(self, emails: Sequence[Email], *, now: datetime) -> int:
        if not emails:
            return 0
        changes = [failed(email, reason="expired", now=now) for email in emails]
        return sum(self.store.apply_all(changes))

    def _offer(self, emails: Sequence[Email], *, now: datetime, last: bool) -> int:
        changes = [offered(email, now=now, policy=self.policy) for email in emails]
        if not changes:
            return 0
        # What somebody took meanwhile, or another sweep offered, is theirs.
        written = zip(changes, self.store.apply_all(changes), strict=True)
        hints = [
            _hint(change, now=now, last=last)
            for change, is_written in written
            if is_written
        ]
        if hints:
            self.hints.route_all(hints)
        return len(hints)

    def _reconcile(self, emails: Sequence[Email], *, now: datetime) -> int:
        lapsed = [e for e in emails if e.due_at is not None and e.due_at <= now]
        new = self.asked.new(lapsed, now=now, grace=self.policy.sweep_grace)
        if not new:
            return 0
        self.hints.reconcile_all([email.email_id for email in new])
        self.asked.note(new, now=now)
        return len(new)

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
                self.hints.route_all([(Hint.of(email), timedelta(0))])


def _cut(
    found: Sequence[Email], seen: set[str], *, last: bool
) -> Iterator[tuple[list[Email], bool]]:
    """Give in batches what was not seen yet, and note it.

    More than a batch is a backlog too: all others go last in any case.
    """
    new = [email for email in found if email.email_id not in seen]
    seen.update(email.email_id for email in new)
    for start in range(0, len(new), BATCH):
        yield new[start : start + BATCH], last or start > 0


def _hint(change: Change, *, now: datetime, last: bool) -> tuple[Hint, timedelta]:
    """Return the hint at an offered email, and how long it waits.

    A backlog goes a step behind its own priority, or what is accepted meanwhile would
    stand behind all of it.
    """
    email = change.before
    delay = max((email.not_before or now) - now, timedelta(0))
    hint = Hint.of(email)
    return replace(hint, priority=hint.priority.below) if last else hint, delay


def _is_wanted(email: Email, now: datetime) -> bool:
    """Whether it is due, or falls due soon with no hint on its way."""
    if email.due_at is None or email.not_before is None:
        return False
    return email.due_at <= now or email.due_at == email.not_before
