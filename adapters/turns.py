"""Owners take turns in every queue, so that the backlog of one is not in front of all.

Why so: docs/adr/0043-owners-take-turns.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import redis
from dramatiq.brokers.redis import RedisBroker

B = TypeVar("B", bound=RedisBroker)

_SCRIPT = Path(__file__).parent / "turns.lua"


def take_turns(broker: B) -> B:
    """Let a broker enqueue and fetch by turns; return it.

    It is one script with Dramatiq's own, so nothing costs a trip more.
    """
    theirs = broker.scripts["dispatch"].script
    rest = theirs.encode() if isinstance(theirs, str) else bytes(theirs)
    broker.scripts["dispatch"] = broker.client.register_script(
        _SCRIPT.read_bytes() + rest
    )
    return broker


def keys_of(client: redis.Redis, queue: str) -> list[str]:
    """Return the keys of what waits by owner beside a queue."""
    turns = f"postroom:turns:{queue}"
    owners = {
        owner.decode() if isinstance(owner, bytes) else str(owner)
        for owner in client.lrange(turns, 0, -1)
    }
    return [turns, *(f"postroom:waiting:{queue}:{owner}" for owner in sorted(owners))]
