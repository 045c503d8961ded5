"""Whoever enqueues rings, in the same trip, for those who wait for the queue.

Why so: docs/adr/0048-a-bell.md. Who listens: ``actors/bell.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from dramatiq.brokers.redis import RedisBroker

B = TypeVar("B", bound=RedisBroker)

_SCRIPT = Path(__file__).parent / "bell.lua"


def ring(broker: B) -> B:
    """Let a broker ring for what it puts into a queue; return it.

    It goes around the script that the broker has, whatever that does.
    """
    theirs = broker.scripts["dispatch"].script
    rest = theirs.encode() if isinstance(theirs, str) else bytes(theirs)
    broker.scripts["dispatch"] = broker.client.register_script(
        b"local function dispatch()\n" + rest + b"\nend\n" + _SCRIPT.read_bytes()
    )
    return broker
