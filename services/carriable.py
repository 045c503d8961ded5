"""Whether any provider could carry a new email: whatever accepts one asks this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..domain.acceptance import NewEmail, routing_of
from ..domain.routing import ProviderProfile, Standing, choose_provider, is_able


def why_not(
    new: NewEmail, profiles: Sequence[ProviderProfile], *, now: datetime
) -> Mapping[str, str] | None:
    """Return for each provider why it could never carry it; ``None`` if one could."""
    routing = routing_of(new.content, new.recipients)
    if any(is_able(profile, routing, pin=new.provider) for profile in profiles):
        return None
    choice = choose_provider(
        profiles,
        {},
        routing,
        Standing(),
        pin=new.provider,
        delivery=new.delivery,
        now=now,
    )
    return {v.provider: v.why.value for v in choice.verdicts}
