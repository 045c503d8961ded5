"""What is looked at beside the body of an email that a client sends."""

from __future__ import annotations

from ..services.accept import Accept
from ..services.accept_together import AcceptTogether
from ..services.explain import Explain
from .fields import Context
from .options import Options


def context_of(service: Accept | AcceptTogether | Explain, options: Options) -> Context:
    """Return what the rules need to know of the service."""
    return Context(
        limits=options.limits,
        clock=service.clock.now,
        providers=tuple(p.name for p in service.profiles if not p.only_pinned),
    )
