"""Route an email: pick a provider and hand it over, or park it, or fail it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..domain.change import Change
from ..domain.doubt import unbound
from ..domain.email import CLAIMABLE, Email, WaitingFor
from ..domain.errors import HintError
from ..domain.hint import MAX_HOPS, Hint
from ..domain.lifecycle import failed, park, queued
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import BreakerBoard, Clock, EmailStore, Hints
from ..domain.routing import (
    Choice,
    ProviderProfile,
    Verdict,
    Why,
    choose_provider,
)
from ..domain.times import is_expired
from .next_step import Dead, Done, NextStep, follow_up

#: Reasons that end at a time of their own, and not when an operator says so.
_TIMED = frozenset({Why.BREAKER_OPEN, Why.PAUSED, Why.BACKING_OFF})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Find the provider that an email goes to now.

    The hint carries what is needed, so handing over costs no trip to the store; only
    an email that must wait, or that nobody can carry, is loaded and written.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]
    policy: Policy

    def __call__(self, hint: Hint) -> NextStep:
        """Hand the email over, park it, or make it a dead letter.

        Raises:
            StoreUnavailableError: It could not be parked; the sweep has it.
        """
        now = self.clock.now()
        choice = self.choose(hint, now=now)
        try:
            return self._go(hint, choice, now=now)
        except HintError:
            return Done()  # the sweep offers it again

    def choose(self, hint: Hint, *, now: datetime) -> Choice:
        """Return where the email would go now, with a reason for each provider."""
        return choose_provider(
            self.profiles,
            {p.name: self.board.health(p.name) for p in self.profiles},
            hint.routing,
            hint.standing,
            pin=hint.provider,
            delivery=hint.delivery,
            now=now,
        )

    def _go(self, hint: Hint, choice: Choice, *, now: datetime) -> NextStep:
        if hint.hops < MAX_HOPS:
            for probe in choice.probes:
                if self.board.elect_probe(probe, hint.email_id):
                    self.hints.send(probe, replace(hint, probe=True))
                    return Done()
            if choice.provider is not None:
                self.hints.send(choice.provider, hint)
                return Done()
        return self._wait_or_fail(hint, choice, now=now)

    def _wait_or_fail(self, hint: Hint, choice: Choice, *, now: datetime) -> NextStep:
        email = self.store.load(hint.email_id)
        if email is None or email.state not in CLAIMABLE:
            return Done()
        if email.bound_to != hint.standing.bound_to:
            self.hints.route(Hint.of(email))  # the hint was older than the bond
            return Done()
        change = self._unbound(email, choice, now=now)
        if change is not None:
            return self._unbind(change, now=now)
        if email.not_before is not None and email.not_before > now:
            # Not failed either: by then somebody may be able to carry it.
            return self._leave(email, wait=email.not_before - now)
        return self._park_or_fail(email, choice, now=now)

    def _park_or_fail(self, email: Email, choice: Choice, *, now: datetime) -> NextStep:
        if is_expired(email, now=now, policy=self.policy):
            return self._fail(email, "expired", now=now)
        if choice.provider is None and choice.wait_until is None:
            return self._fail(email, _reason(choice), now=now, choice=choice)
        return self._park(email, choice, now=now)

    def _unbound(self, email: Email, choice: Choice, *, now: datetime) -> Change | None:
        if email.bound_to is None or choice.provider is not None:
            return None
        return unbound(email, back_at=choice.wait_until, now=now, policy=self.policy)

    def _unbind(self, change: Change, *, now: datetime) -> NextStep:
        if not self.store.apply(change):
            return Done()
        return follow_up(change.after, provider=None, now=now, hints=self.hints)

    def _fail(
        self,
        email: Email,
        reason: str,
        *,
        now: datetime,
        choice: Choice | None = None,
    ) -> NextStep:
        detail = _explained(choice) if choice else ""
        if self.store.apply(failed(email, reason=reason, now=now, detail=detail)):
            return Dead(reason=reason)
        return Done()

    def _park(self, email: Email, choice: Choice, *, now: datetime) -> NextStep:
        # A provider that looked healthy but refused its permit three times is given
        # a moment too, and so is one that somebody else is probing: a wait of nothing
        # would bring the email straight back here.
        until = choice.wait_until
        if until is None or until <= now:
            until = now + self.policy.retry_first
        knocks = choice.wait_until is None or self._knocks(email, choice, until)
        change = self._waiting(email, choice, until=until, knocks=knocks, now=now)
        if self.store.apply(change) and knocks:
            self._hint_again(change.after, wait=until - now)
        return Done()

    def _leave(self, email: Email, *, wait: timedelta) -> NextStep:
        """Leave an email that waits already; a schedule's early hint comes back."""
        if email.waiting_for is WaitingFor.SCHEDULE:
            self._hint_again(email, wait=wait)
        return Done()

    def _waiting(
        self,
        email: Email,
        choice: Choice,
        *,
        until: datetime,
        knocks: bool,
        now: datetime,
    ) -> Change:
        if choice.wait_until is not None and not choice.waiting_for:
            return queued(email, now=now, wait=until - now, policy=self.policy)
        return park(
            email,
            until=until,
            providers=choice.waiting_for or _able(choice),
            is_probe=knocks,
            now=now,
            policy=self.policy,
        )

    def _knocks(self, email: Email, choice: Choice, until: datetime) -> bool:
        """Whether this email, of all that are parked, is to come back at ``until``."""
        first = _first_back(choice, until)
        if first is None:
            return False
        if first.why is Why.BACKING_OFF:
            return True  # nobody else waits for the same
        return self.board.elect_probe(first.provider, email.email_id)

    def _hint_again(self, email: Email, *, wait: timedelta) -> None:
        if wait <= LONGEST_HINT_DELAY:
            self.hints.route(Hint.of(email), delay=max(wait, timedelta(0)))


def _able(choice: Choice) -> tuple[str, ...]:
    able = {Why.CHOSEN, Why.NOT_FIRST}
    return tuple(v.provider for v in choice.verdicts if v.why in able)


def _first_back(choice: Choice, until: datetime) -> Verdict | None:
    """Return what ends first of all that we wait for, if its time is known."""
    return next(
        (
            verdict
            for verdict in choice.verdicts
            if verdict.why in _TIMED
            and (verdict.until is None or verdict.until <= until)
        ),
        None,
    )


def _explained(choice: Choice) -> str:
    """Return the reason of each provider, for whoever reads the dead letter."""
    return ", ".join(f"{v.provider}: {v.why.value}" for v in choice.verdicts)


def _reason(choice: Choice) -> str:
    """Return why nothing can carry it, by the reason that its sender can mend."""
    whys = {v.why for v in choice.verdicts}
    for why in (Why.SENDER_NOT_ALLOWED, Why.UNBUILDABLE, Why.CANNOT_SPLIT):
        if why in whys:
            return why.value
    return "no_provider"
