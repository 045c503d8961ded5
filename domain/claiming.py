"""May this provider have this email now? Being hinted gives no right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .attempts import retry_at, standing_of
from .email import CLAIMABLE, Email
from .policy import Policy
from .routing import INELIGIBLE, Health, ProviderProfile, judge
from .times import is_expired


@dataclass(frozen=True, slots=True, kw_only=True)
class MayClaim:
    """The email may be claimed for this provider now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooEarly:
    """It may, but only after ``wait``."""

    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThis:
    """The email wants a provider, but not this one."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAny:
    """The email wants no attempt: it is settled, in hand, waiting or too old."""

    why: str


Claimability = MayClaim | TooEarly | NotThis | NotAny


def may_claim(
    email: Email,
    profile: ProviderProfile,
    *,
    refuses_from: Mapping[str, datetime],
    now: datetime,
    policy: Policy,
) -> Claimability:
    """Return whether a provider may have an email now, by the loaded document.

    Args:
        email: As loaded.
        profile: The provider that a hint named.
        refuses_from: From domains that it refused lately, with the end of that.
        now: The store's time.
        policy: Gives the greatest age.
    """
    if email.state not in CLAIMABLE:
        return NotAny(why=email.state.value)
    if not email.pending:
        return NotAny(why="nobody_pending")
    if is_expired(email, now=now, policy=policy):
        return NotAny(why="expired")
    verdict = judge(
        profile,
        Health(refuses_from=refuses_from),  # the rest is the permit's matter
        email.routing,
        standing_of(email),
        pin=email.provider,
        now=now,
    )
    if verdict is not None and verdict.why in INELIGIBLE:
        return NotThis(why=verdict.why.value)
    earliest = max(
        instant
        for instant in (email.not_before, retry_at(email, profile.name), now)
        if instant is not None
    )
    if earliest > now:
        return TooEarly(wait=earliest - now)
    return MayClaim()
