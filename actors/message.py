"""Which bytes of a queue are messages that a worker can live with."""

from __future__ import annotations

from typing import Any

from dramatiq import DramatiqError, Message


def is_message(data: bytes, *, queue_name: str) -> bool:
    """Return whether these bytes are a message that Dramatiq's worker can handle.

    Its consumer stumbles over bytes that it cannot decode, and over fields of the
    wrong kind, and forgets all that it has fetched with them; a message with the
    name of another queue ends a thread.

    Args:
        data: As fetched.
        queue_name: Where from; Dramatiq writes it into every message, ``.DQ`` of a
            delayed one included.
    """
    try:
        fields: dict[str, Any] = Message.decode(data).asdict()
    except DramatiqError:
        return False
    return (
        fields["queue_name"] == queue_name
        and isinstance(fields["actor_name"], str)
        and isinstance(fields["message_id"], str)
        and isinstance(fields["kwargs"], dict)
        and isinstance(fields["options"], dict)
        and isinstance(fields["options"].get("redis_message_id"), str)
    )
