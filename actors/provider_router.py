"""The ProviderRouter: every email goes through it on its way to a provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Broker, GenericActor

from ..domain.errors import InvalidValueError
from ..domain.hint import ROUTER_ACTOR, ROUTER_QUEUE, Hint
from ..services.next_step import NextStep
from .following import follow, may_retry


def declare_router(broker: Broker, route: Callable[[Hint], NextStep]) -> Any:
    """Declare the actor that picks a provider and hands the email over.

    The class is made here because its metaclass registers it at once, on the broker
    that ``Meta`` names.
    """
    the_broker = broker

    class ProviderRouter(GenericActor):
        """Picks by preference, eligibility and health; parks what must wait."""

        class Meta:
            """How Dramatiq is to run it."""

            broker = the_broker
            actor_name = ROUTER_ACTOR
            queue_name = ROUTER_QUEUE
            retry_when = may_retry
            throws = InvalidValueError

        def perform(self, hint: dict[str, Any]) -> None:
            """Route the email that the hint names."""
            follow(route(Hint.from_message(hint)))

    return ProviderRouter
