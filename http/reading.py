"""What is looked at beside the body of an email that a client sends."""

from __future__ import annotations

from ..services.accept import Accept
from ..services.accept_together import AcceptTogether
from .fields import Context
from .options import Options


def context_of(accept: Accept | AcceptTogether, options: Options) -> Context:
    """Return what the rules need to know of the service."""
    return Context(
        limits=options.limits,
        clock=accept.clock.now,
        providers=tuple(p.name for p in accept.profiles if not p.only_pinned),
    )
