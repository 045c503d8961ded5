"""What a queue message says: an id and a few facts, a frozen and versioned contract.

A hint never holds an address or a body. It may be lost, doubled, late or of another
release; the document in the store decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .attempts import standing_of
from .email import Delivery, Email, Priority, Routing
from .errors import InvalidValueError
from .routing import Standing

#: Version of the message. Readers take this one and refuse what they do not know.
HINT_VERSION = 1

#: The actors that take hints, by name: the web process knows no more of them.
ROUTER_ACTOR = "ProviderRouter"
SWEEP_ACTOR = "sweep"
RECONCILE_ACTOR = "reconcile"
RELEASE_ACTOR = "release"

#: Their queues. The router process serves all of these and no ``send`` queue.
SWEEP_QUEUE = "sweep"
RECONCILE_QUEUE = "reconcile"

#: What the names of all providers' queues begin with.
SEND_PREFIX = "send."

#: What reading something that is no hint may raise.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

#: How often a hint may bounce between router and a closed door before it parks.
MAX_HOPS = 3


#: What the names of queues and actors end with: each priority has its own, so that a
#: backlog of one does not stand in another's way. A release without priorities wrote
#: to the plain names.
_ENDINGS = {Priority.HIGH: ".high", Priority.NORMAL: "", Priority.LOW: ".low"}


def router_queue(priority: Priority) -> str:
    """Return the name of the router's queue for a priority."""
    return f"router{_ENDINGS[priority]}"


def router_actor(priority: Priority) -> str:
    """Return the name of the router's actor for a priority."""
    return f"{ROUTER_ACTOR}{_ENDINGS[priority]}"


def send_queue(provider: str, priority: Priority = Priority.NORMAL) -> str:
    """Return the name of a provider's queue, which is its actor's name too."""
    return f"{SEND_PREFIX}{provider}{_ENDINGS[priority]}"


def provider_of(queue: str) -> str:
    """Return whose queue this is: a provider's name holds no dot.

    Examples:
        >>> provider_of("send.ses.high")
        'ses'
    """
    return queue.removeprefix(SEND_PREFIX).partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """The offer of an email to an actor.

    Attributes:
        owner: Whose email it is: owners take turns in the queues.
        hops: How often a refused permit sent it back to the router.
        probe: It may knock at an open breaker.
    """

    email_id: str
    routing: Routing
    standing: Standing
    provider: str | None
    delivery: Delivery
    priority: Priority
    owner: str = ""
    hops: int = 0
    probe: bool = False

    @classmethod
    def of(cls, email: Email) -> Hint:
        """Return the hint that says where an email stands now."""
        return cls(
            email_id=email.email_id,
            routing=email.routing,
            standing=standing_of(email),
            provider=email.provider,
            delivery=email.delivery,
            priority=email.priority,
            owner=email.owner,
        )

    def bounced(self) -> Hint:
        """Return it as it goes back to the router from a closed door."""
        return replace(self, hops=self.hops + 1, probe=False)

    def to_message(self) -> dict[str, Any]:
        """Return the plain values that a queue message carries."""
        return {
            "v": HINT_VERSION,
            "email_id": self.email_id,
            "from_domain": self.routing.from_domain,
            "size_bytes": self.routing.size_bytes,
            "recipients": self.routing.recipients,
            "attachments": self.routing.attachments,
            "inline": self.routing.inline,
            "tags": self.routing.tags,
            "tries": dict(self.standing.tries),
            "excluded": sorted(self.standing.excluded),
            "unbuildable": sorted(self.standing.unbuildable),
            "resting": {
                name: instant.isoformat()
                for name, instant in self.standing.resting.items()
            },
            "part_sent": self.standing.part_sent,
            "redriven": self.standing.redriven,
            "bound_to": self.standing.bound_to,
            "bound_until": _written(self.standing.bound_until),
            "provider": self.provider,
            "delivery": self.delivery.value,
            "priority": self.priority.value,
            "owner": self.owner,
            "hops": self.hops,
            "probe": self.probe,
        }

    @classmethod
    def from_message(cls, values: Mapping[str, Any]) -> Hint:
        """Read a message.

        Fields that it does not know are ignored, so that a newer release may add
        some and still be rolled back.

        Raises:
            InvalidValueError: It is of another version, or not a hint at all.
        """
        try:
            version = values["v"]
            if version != HINT_VERSION:
                raise InvalidValueError(
                    f"v must be {HINT_VERSION}, got {version!r}",
                )
            return cls(
                email_id=str(values["email_id"]),
                routing=_read_routing(values),
                standing=_read_standing(values),
                provider=None if (pin := values["provider"]) is None else str(pin),
                delivery=Delivery(values["delivery"]),
                priority=Priority(values["priority"]),
                owner=str(values.get("owner", "")),
                hops=int(values["hops"]),
                probe=bool(values["probe"]),
            )
        except _UNREADABLE as ex:
            raise InvalidValueError(f"hint is not readable: {ex!r}") from ex


def _read_routing(values: Mapping[str, Any]) -> Routing:
    return Routing(
        from_domain=str(values["from_domain"]),
        size_bytes=int(values["size_bytes"]),
        recipients=int(values["recipients"]),
        attachments=int(values["attachments"]),
        inline=int(values.get("inline", 0)),
        tags=int(values.get("tags", 0)),
    )


def _read_standing(values: Mapping[str, Any]) -> Standing:
    return Standing(
        tries={str(name): int(n) for name, n in values["tries"].items()},
        excluded=frozenset(str(name) for name in values["excluded"]),
        unbuildable=frozenset(str(name) for name in values["unbuildable"]),
        resting={
            str(name): _read_instant(text)
            for name, text in values.get("resting", {}).items()
        },
        part_sent=bool(values.get("part_sent", False)),
        redriven=bool(values.get("redriven", False)),
        bound_to=None if (name := values.get("bound_to")) is None else str(name),
        bound_until=None
        if (end := values.get("bound_until")) is None
        else _read_instant(end),
    )


def _written(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _read_instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise InvalidValueError(f"an instant must carry a time zone, got {text}")
    return instant
