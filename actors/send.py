"""The send actors: of each configured provider one for each priority."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
from dramatiq import Broker

from ..domain.email import Priority
from ..domain.errors import InvalidValueError
from ..domain.hint import Hint, send_queue
from ..domain.policy import Policy
from ..services.next_step import NextStep
from .following import follow, may_retry, ms
from .order import ORDER

#: Time beyond the lease that an attempt may take to record what came of it.
RECORDING_MARGIN = timedelta(seconds=60)


def declare_send(
    broker: Broker,
    provider: str,
    attempt: Callable[[str, Hint], NextStep],
    policy: Policy,
) -> None:
    """Declare a provider's send actors: one for each priority, on its own queue."""

    def send(hint: dict[str, Any]) -> None:
        """Attempt the email that the hint names at this actor's provider."""
        follow(attempt(provider, Hint.from_message(hint)))

    for priority in Priority:
        dramatiq.actor(
            broker=broker,
            actor_name=send_queue(provider, priority),
            queue_name=send_queue(provider, priority),
            priority=ORDER[priority],
            min_backoff=ms(policy.retry_first),
            max_backoff=ms(policy.retry_max),
            retry_when=may_retry,
            throws=InvalidValueError,
            time_limit=ms(policy.lease + RECORDING_MARGIN),
        )(send)
