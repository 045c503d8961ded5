"""Attempt an email at one provider: load, build, permit, claim, call, record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, assert_never

from ..domain.claiming import MayClaim, NotAny, NotThis, TooEarly, may_claim
from ..domain.email import Email
from ..domain.errors import (
    HintError,
    StoreUnavailableError,
    UnbuildableError,
)
from ..domain.hint import Hint
from ..domain.keys import Key, key_of
from ..domain.lifecycle import claim
from ..domain.outcome import NotSent, Outcome
from ..domain.policy import EARLY_HINT, Policy
from ..domain.ports import (
    BreakerBoard,
    Built,
    Chance,
    Clock,
    Denied,
    EmailStore,
    Hints,
    Permit,
    Provider,
    Report,
)
from .health import Verdicts
from .next_step import Again, Done, NextStep
from .settle import Settle

log = logging.getLogger(__name__)

#: A result that says nothing of the provider.
NEUTRAL = Report(success=None)

#: How long an email that was refused a permit waits before it goes back to the
#: router: by then its snapshot of the breakers is a newer one.
BOUNCE_DELAY = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Try to send one email through one provider.

    The order is the protocol: what cannot be built is found before a permit is
    taken; the permit comes before the claim, so that a refused one leaves no false
    trace; and between claim and call stands nothing but a look at the clock.
    """

    store: EmailStore
    hints: Hints
    clock: Clock
    chance: Chance
    board: BreakerBoard
    providers: Mapping[str, Provider]
    policy: Policy
    settle: Settle
    verdicts: Verdicts

    def __call__(self, provider_name: str, hint: Hint) -> NextStep:
        """Take the email through one attempt, if this provider may have it.

        Raises:
            StoreUnavailableError: The store went away before the claim.
            ClockUnsureError: The store's time is not known: no claims.
        """
        provider = self.providers[provider_name]
        email = self.store.load(hint.email_id)
        if email is None:
            return Done()
        may = may_claim(
            email,
            provider.profile,
            refuses_from=self.board.health(provider_name).refuses_from,
            now=self.clock.now(),
            policy=self.policy,
        )
        match may:
            case NotAny():
                return Done()
            case NotThis():
                return self._hand_back(email, hint)
            case TooEarly():
                # Far too early: whoever set the time has left a better hint.
                return Again(delay=may.wait) if may.wait <= EARLY_HINT else Done()
            case MayClaim():
                return self._build(provider, email, hint)
            case _:
                assert_never(may)

    def _build(self, provider: Provider, email: Email, hint: Hint) -> NextStep:
        now = self.clock.now()
        key = key_of(email, provider.profile, now=now, policy=self.policy)
        value = key.value if key else None
        try:
            built = provider.build(email, recipients=email.pending, key=value)
        except UnbuildableError:
            return self._hand_back(email, hint, without=provider.profile.name)
        permit = self.board.permit(provider.profile.name, probe=hint.probe)
        if isinstance(permit, Denied):
            return self._hand_back(email, hint, delay=BOUNCE_DELAY)
        return self._with_permit(provider, email, built, key, permit)

    def _with_permit(
        self,
        provider: Provider,
        email: Email,
        built: Built,
        key: Key | None,
        permit: Permit,
    ) -> NextStep:
        """Claim, call and record; the permit is given back whatever happens."""
        report = NEUTRAL
        try:
            started = self.clock.monotonic()
            claimed = self._claim(email, permit.provider, key)
            if claimed is None:
                log.info("claim.lost", extra=_told(email, permit.provider))
                return Done()
            called = self.clock.monotonic()
            outcome = self._call(provider, built, waited_s=called - started)
            latency = timedelta(seconds=self.clock.monotonic() - called)
            report = self.verdicts.of(permit.provider, email, outcome, latency)
        finally:
            # An interrupt (a stop, a time limit) comes through here as neutral.
            self.verdicts.tell(permit, report)
        attempt_id = claimed.attempts[-1].id
        if any(d.attempt_id == attempt_id for d in claimed.possible_duplicates):
            told = _told(claimed, permit.provider)
            log.warning("email.possible_duplicate", extra=told)
        return self.settle(
            claimed,
            attempt_id=attempt_id,
            outcome=outcome,
            latency=latency,
        )

    def _claim(self, email: Email, provider: str, key: Key | None) -> Email | None:
        """Return the email as claimed, or ``None`` if it is not ours."""
        attempt_id = self.chance.attempt_id()
        now = self.clock.now()
        if key is not None and not key.lives(now):
            # It was made before a long stop: what it repeats might now go twice.
            return None
        change = claim(
            email,
            provider=provider,
            attempt_id=attempt_id,
            now=now,
            policy=self.policy,
            key=key,
        )
        try:
            return change.after if self.store.apply(change) else None
        except StoreUnavailableError:
            # The claim may be stored: only our own attempt id in it proves it ours.
            stored = self.store.load(email.email_id)
            if stored is None or stored.fence != change.after.fence:
                return None
            return stored if stored.attempt(attempt_id) else None

    def _call(self, provider: Provider, built: Built, *, waited_s: float) -> Outcome:
        """Call, unless the claim took so long that its lease might end first."""
        if timedelta(seconds=waited_s) > (self.policy.lease - self.policy.timeout) / 2:
            return NotSent(cause="too_late", late=True)
        return provider.send(built, timeout=self.policy.timeout)

    def _hand_back(
        self,
        email: Email,
        hint: Hint,
        *,
        without: str | None = None,
        delay: timedelta = timedelta(0),
    ) -> NextStep:
        """Let the router choose again; it must not forget who cannot build this.

        Each further provider that cannot makes the choice smaller and so counts as
        no hop.
        """
        unbuildable = hint.standing.unbuildable | ({without} if without else set())
        fresh = Hint.of(email)
        back = replace(
            fresh,
            standing=replace(fresh.standing, unbuildable=unbuildable),
            hops=hint.hops,
        )
        if unbuildable == hint.standing.unbuildable:
            back = back.bounced()
        try:
            self.hints.route(back, delay=delay)
        except HintError:
            return Done()  # the sweep offers it again
        return Done()


def _told(email: Email, provider: str) -> dict[str, Any]:
    return {"email_id": email.email_id, "provider": provider}
