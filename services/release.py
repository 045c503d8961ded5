"""Let parked emails go when their provider is back: in order, at its pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.email import Email
from ..domain.hint import Hint
from ..domain.lifecycle import queued
from ..domain.policy import Policy
from ..domain.ports import BreakerBoard, Clock, EmailStore, Hints
from ..domain.routing import BreakerState, Health, ProviderProfile

#: Slowest pace of a release, in emails a second.
LEAST_RATE_PER_S = 10.0

#: How much of the future one slice fills.
SLICE = timedelta(seconds=2)

#: How much of a slice's time must have passed before the next: two clocks may differ a
#: little, and a refused slice would wait for the sweep.
TOLERANCE = 0.9

#: Most emails of one slice, whatever the pace.
SLICE_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Release the oldest emails parked for a provider, one slice at a time.

    Attributes:
        profiles: The configured providers. What was parked for one that is gone goes
            by its own time.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]
    policy: Policy

    def __call__(self, provider: str) -> int:
        """Release one slice and ask for the next.

        Returns:
            How many emails were let go.

        Raises:
            StoreUnavailableError: The store did not answer; the sweep asks again.
            HintError: Redis is away; the sweep asks again.
        """
        if provider not in {profile.name for profile in self.profiles}:
            return 0  # it was asked for before the settings changed
        began = self.clock.monotonic()
        view = self.board.view(provider)
        if not self._is_back(view.health):
            return 0
        if not self.board.may_release(provider, every=SLICE * TOLERANCE):
            return 0  # another release is at work
        rate = max(view.rate_per_s, LEAST_RATE_PER_S)
        size = min(int(rate * SLICE.total_seconds()), SLICE_LIMIT)
        emails = self.store.parked(provider, limit=size)
        released = 0
        for email in emails:
            delay = timedelta(seconds=released / rate)
            released += self._release(email, delay)
        if len(emails) == size:
            # What this slice took belongs to its time, or the pace would fall.
            taken = timedelta(seconds=self.clock.monotonic() - began)
            self.hints.release(provider, delay=max(SLICE - taken, timedelta(0)))
        return released

    def _is_back(self, health: Health) -> bool:
        if health.state is not BreakerState.CLOSED or health.drained:
            return False
        # Let go during a pause they would only be parked again.
        return health.resume_at is None or health.resume_at <= self.clock.now()

    def _release(self, email: Email, delay: timedelta) -> bool:
        now = self.clock.now()
        change = queued(email, now=now, wait=delay, policy=self.policy)
        if not self.store.apply(change):
            return False
        self.hints.route(Hint.of(change.after), delay=delay)
        return True
