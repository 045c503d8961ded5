"""The ProviderRouter: every email goes through it on its way to a provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Broker, GenericActor

from ..domain.email import Priority
from ..domain.errors import InvalidValueError
from ..domain.hint import Hint, router_actor, router_queue
from ..domain.policy import Policy
from ..services.next_step import NextStep
from .following import follow, may_retry, ms
from .order import ORDER


def declare_router(
    broker: Broker, route: Callable[[Hint], NextStep], policy: Policy
) -> None:
    """Declare the actor that picks a provider and hands the email over.

    There is one for each priority, on a queue of its own. The class is made here
    because its metaclass registers it at once, on the broker that ``Meta`` names.
    """
    for each in Priority:
        _declare(broker, route, policy, each)


def _declare(
    the_broker: Broker,
    route: Callable[[Hint], NextStep],
    policy: Policy,
    of_priority: Priority,
) -> None:
    class ProviderRouter(GenericActor):
        """Picks by preference, eligibility and health; parks what must wait."""

        class Meta:
            """How Dramatiq is to run it."""

            broker = the_broker
            actor_name = router_actor(of_priority)
            queue_name = router_queue(of_priority)
            priority = ORDER[of_priority]
            min_backoff = ms(policy.retry_first)
            max_backoff = ms(policy.retry_max)
            retry_when = may_retry
            throws = InvalidValueError

        def perform(self, hint: dict[str, Any]) -> None:
            """Route the email that the hint names."""
            follow(route(Hint.from_message(hint)))
