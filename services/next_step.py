"""What an actor does after a service has done its part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.attempts import standing_of
from ..domain.email import Email, State
from ..domain.errors import HintError
from ..domain.hint import Hint
from ..domain.policy import LONGEST_HINT_DELAY
from ..domain.ports import Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing: the email is settled, or somebody else's, or left to the sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Put the same message back for ``delay``: the same provider is to try again."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """The email is a dead letter: let its message go the same way."""

    reason: str


NextStep = Done | Again | Dead


def follow_up(
    email: Email,
    *,
    provider: str | None,
    now: datetime,
    hints: Hints,
) -> NextStep:
    """Hint at whatever comes next for an email, by what is stored of it.

    Args:
        email: As it has just been written.
        provider: The provider whose actor asks; ``None`` for any other caller.
        now: The store's time.
        hints: Where to leave the hint. Its failure is left to the sweep.
    """
    try:
        return _follow_up(email, provider=provider, now=now, hints=hints)
    except HintError:
        return Done()


def _follow_up(
    email: Email,
    *,
    provider: str | None,
    now: datetime,
    hints: Hints,
) -> NextStep:
    if email.state is State.FAILED:
        return Dead(reason=email.reason or "failed")
    if email.state is State.UNKNOWN and email.due_at is not None:
        wait = max(email.due_at - now, timedelta(0))
        if wait <= LONGEST_HINT_DELAY:
            hints.reconcile(email.email_id, delay=wait)
        return Done()
    if email.state is State.QUEUED and email.not_before is not None:
        wait = max(email.not_before - now, timedelta(0))
        if wait > LONGEST_HINT_DELAY:
            return Done()  # the sweep offers it when its time comes
        if wait and _may_wait_here(email, provider):
            return Again(delay=wait)
        hints.route(Hint.of(email), delay=wait)
    return Done()


def _may_wait_here(email: Email, provider: str | None) -> bool:
    """Whether a provider is to have the email again when its wait is over."""
    standing = standing_of(email)
    if provider is None or email.not_before is None or provider not in standing.tries:
        return False
    rest = standing.resting.get(provider)
    return rest is None or rest <= email.not_before
