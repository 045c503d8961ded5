"""Idempotency keys: what makes the repetition of an attempt harmless at a provider.

A provider that takes keys sends the same key once, for as long as it promises. So an
attempt there whose outcome nobody knows can be repeated there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from .attempts import since_redrive
from .email import Attempt, Email
from .policy import Policy
from .routing import ProviderProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What an attempt is sent with.

    Attributes:
        value: Up to 100 ASCII letters, digits and hyphens.
        until: A repetition that is claimed until then is no second email.
    """

    value: str
    until: datetime

    def covers(self, attempt: Attempt, *, provider: str, now: datetime) -> bool:
        """Return whether a call with this key now repeats an earlier attempt."""
        same = attempt.provider == provider and attempt.key == self.value
        return same and self.lives(now)

    def lives(self, now: datetime) -> bool:
        """Return whether a claim may still be made with this key."""
        return now <= self.until


def key_of(
    email: Email, profile: ProviderProfile, *, now: datetime, policy: Policy
) -> Key | None:
    """Return the key for the next attempt at a provider, or ``None`` if it takes none.

    What may be out there already goes again with its own key. Anything else has a new
    one: a provider may also remember a key's refusal.

    Args:
        email: As loaded.
        profile: Of the provider that is to have it.
        now: The store's time.
        policy: Gives the lease: a call that is claimed leaves within it.
    """
    if not profile.key_ttl_s:
        return None
    first = next(_repeatable(email, profile.name, now=now), None)
    if first is not None and first.key is not None and first.key_until is not None:
        return Key(value=first.key, until=first.key_until)
    ttl = timedelta(seconds=profile.key_ttl_s)
    value = f"{email.email_id}-{len(email.attempts) + 1}"
    return Key(value=value, until=now + ttl - policy.lease)


def repeatable(email: Email, provider: str, *, now: datetime) -> Attempt | None:
    """Return the last attempt at a provider that may be out and be repeated there.

    That is one to the very recipients that are pending, while its key lives.
    """
    found = tuple(_repeatable(email, provider, now=now))
    return found[-1] if found else None


def _repeatable(email: Email, provider: str, *, now: datetime) -> Iterator[Attempt]:
    for attempt in since_redrive(email):
        is_there = attempt.provider == provider and attempt.may_be_out
        lives = attempt.key_until is not None and now <= attempt.key_until
        if is_there and lives and attempt.recipients == email.pending:
            yield attempt
