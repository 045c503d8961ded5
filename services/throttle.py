"""Hold a key to its rate."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.access import Access, Rate
from ..domain.ports_access import Allowance, RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Say whether a request may pass now.

    Attributes:
        rate: Of keys that have none of their own; ``None``: these are not limited.
    """

    limit: RateLimit
    rate: Rate | None = None

    def __call__(self, access: Access) -> Allowance | None:
        """Count one request, or return ``None``: nothing limits this sender."""
        rate = access.rate or self.rate
        if rate is None or access.key_id is None:
            return None
        return self.limit.take(access.key_id, rate)
