"""What an outcome says about its provider's health, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from ..domain.email import Email
from ..domain.errors import HintError
from ..domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from ..domain.policy import Policy
from ..domain.ports import BreakerBoard, Hints, Permit, Report
from ..domain.retry import at_least
from ..domain.routing import BreakerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Turns outcomes into reports, and a closing breaker into a release."""

    board: BreakerBoard
    hints: Hints
    policy: Policy

    def of(
        self,
        provider: str,
        email: Email,
        outcome: Outcome,
        latency: timedelta,
    ) -> Report:
        """Return the report on a call; a limit or a refused From is shared at once."""
        match outcome:
            case Accepted():
                return Report(success=True, latency=latency)
            case Unknown():
                return Report(success=False, latency=latency)
            case NotSent():
                return Report(success=None if outcome.late else False, latency=latency)
            case Refused():
                return self._of_refusal(provider, email, outcome, latency)
            case _:
                assert_never(outcome)

    def tell(self, permit: Permit, report: Report) -> None:
        """Give the permit back with what the call said."""
        state = self.board.report(permit, report)
        if permit.is_probe and state is BreakerState.CLOSED and report.success:
            try:
                self.hints.release(permit.provider)
            except HintError:
                return  # the sweep releases what is parked for a healthy provider

    def _of_refusal(
        self,
        provider: str,
        email: Email,
        outcome: Refused,
        latency: timedelta,
    ) -> Report:
        if outcome.throttled:
            wait = at_least(self.policy.retry_first, outcome.retry_after)
            self.board.pause(provider, wait=wait)
            return Report(success=None, latency=latency)
        if len(outcome.refused) == len(email.pending):
            # Each was refused for its own sake: a greylisted stranger is no outage.
            return Report(success=None, latency=latency)
        match outcome.kind:
            case RefusalKind.ACCOUNT:
                return Report(success=False, trip=True, latency=latency)
            case RefusalKind.TRANSIENT:
                return Report(success=False, latency=latency)
            case RefusalKind.SENDER:
                domain = email.routing.from_domain
                self.board.remember_refused_sender(provider, domain)
                return Report(success=None, latency=latency)
            case RefusalKind.PERMANENT:
                return Report(success=None, latency=latency)
            case _:
                assert_never(outcome.kind)
