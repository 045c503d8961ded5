"""Record what came of an attempt, and go on from what is then stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.attempts import standing_of
from ..domain.change import Change
from ..domain.email import Email
from ..domain.outcome import Outcome
from ..domain.policy import Policy
from ..domain.ports import BreakerBoard, Chance, Clock, EmailStore, Hints
from ..domain.routing import ProviderProfile, Verdict, Why, judge
from ..domain.settling import Result, record
from .next_step import Done, NextStep, follow_up

log = logging.getLogger(__name__)

#: How long to go on recording an outcome while the store is away. An outcome that
#: is lost here costs a possible duplicate.
RECORD_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Write a result into its email, whoever has it in hand by then."""

    store: EmailStore
    hints: Hints
    clock: Clock
    chance: Chance
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]
    policy: Policy

    def __call__(
        self,
        email: Email | None,
        *,
        attempt_id: str,
        outcome: Outcome,
        latency: timedelta,
    ) -> NextStep:
        """Record the outcome of an attempt.

        Args:
            email: As claimed. It is read again if somebody wrote meanwhile.
            attempt_id: Which of its attempts.
            outcome: What came of it.
            latency: How long the call took.

        Raises:
            StoreUnavailableError: The store stayed away; the lease will end and the
                attempt count as unknown.
        """
        provider = None
        while email is not None:
            provider = self._provider_of(email, attempt_id)
            result = Result(
                attempt_id=attempt_id,
                outcome=outcome,
                latency=latency,
                jitter=self.chance.jitter(),
                others=self._others(email, provider),
            )
            change = record(email, result, now=self.clock.now(), policy=self.policy)
            if change is None:
                return self._follow(email, provider)
            if self.store.apply(change, patience=RECORD_PATIENCE):
                _tell(change, attempt_id)
                return self._follow(change.after, provider)
            email = self.store.load(change.email_id)
        return Done()

    def _follow(self, email: Email, provider: str | None) -> NextStep:
        return follow_up(
            email,
            provider=provider,
            now=self.clock.now(),
            hints=self.hints,
        )

    def _provider_of(self, email: Email, attempt_id: str) -> str | None:
        attempt = email.attempt(attempt_id)
        return attempt.provider if attempt else None

    def _others(self, email: Email, provider: str | None) -> tuple[str, ...]:
        """Return whom the email may go to: at once, or after its back-off there."""
        now = self.clock.now()
        standing = standing_of(email)
        verdicts = {
            profile.name: judge(
                profile,
                self.board.health(profile.name),
                email.routing,
                standing,
                pin=email.provider,
                now=now,
            )
            for profile in self.profiles
            if profile.name != provider
        }
        return tuple(name for name, said in verdicts.items() if _is_near(said))


def _is_near(verdict: Verdict | None) -> bool:
    return verdict is None or verdict.why is Why.BACKING_OFF


def _tell(change: Change, attempt_id: str) -> None:
    """Log what came of an attempt, and what that made of the email."""
    email = change.after
    (attempt,) = (a for a in email.attempts if a.id == attempt_id)
    log.info(
        "email.attempted",
        extra={
            "email_id": email.email_id,
            "attempt": attempt.no,
            "provider": attempt.provider,
            "outcome": attempt.outcome.value,
            "kind": attempt.kind.value if attempt.kind else None,
            "code": attempt.code,
            "duration_ms": attempt.latency_ms,
            "state": email.state.value,
            "reason": email.reason,
        },
    )
    if len(email.confirmed_duplicates) > len(change.before.confirmed_duplicates):
        log.warning(
            "email.confirmed_duplicate",
            extra={
                "email_id": email.email_id,
                "attempt": attempt.no,
                "provider": attempt.provider,
            },
        )
