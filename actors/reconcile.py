"""The actors that take up what nobody has in hand: unknown and parked emails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq import Actor, Broker

from ..domain.hint import RECONCILE_ACTOR, RECONCILE_QUEUE, RELEASE_ACTOR
from ..domain.policy import Policy
from ..services.next_step import NextStep
from .following import follow, may_retry, ms


def declare_reconcile(
    broker: Broker,
    reconcile: Callable[[str], NextStep],
    policy: Policy,
) -> Actor[..., Any]:
    """Declare the actor that settles an email whose lease or wait is over."""

    @dramatiq.actor(
        broker=broker,
        actor_name=RECONCILE_ACTOR,
        queue_name=RECONCILE_QUEUE,
        min_backoff=ms(policy.retry_first),
        max_backoff=ms(policy.retry_max),
        retry_when=may_retry,
    )
    def settle_lapsed(email_id: str) -> None:
        """Settle the email, as far as its time has come."""
        follow(reconcile(email_id))

    return settle_lapsed


def declare_release(
    broker: Broker, release: Callable[[str], int], policy: Policy
) -> Actor[..., Any]:
    """Declare the actor that lets a provider's parked emails go, slice by slice."""

    @dramatiq.actor(
        broker=broker,
        actor_name=RELEASE_ACTOR,
        queue_name=RECONCILE_QUEUE,
        min_backoff=ms(policy.retry_first),
        max_backoff=ms(policy.retry_max),
        retry_when=may_retry,
    )
    def release_parked(provider: str) -> None:
        """Let the next slice go."""
        release(provider)

    return release_parked
