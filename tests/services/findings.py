"""What the doctor's tests share: sound servers, and a board that nobody else hears."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.domain.check import Check, Result
from postroom.domain.hint import provider_of
from postroom.domain.inspection import PATIENT, Premises, RedisFacts, StoreFacts
from postroom.domain.policy import Policy
from postroom.domain.ports import BreakerView
from postroom.services.self_check import SelfCheck
from tests.builders import ALPHA, BETA, seconds
from tests.simulation import Simulation

MONGODB = StoreFacts(
    version="7.0.14",
    writable=True,
    durable=True,
    replica_set="rs0",
    transactions=True,
    missing_indexes=(),
    offset=seconds(0.3),
    usable_keys=1,
)
REDIS = RedisFacts(
    version="7.2.4",
    eviction_policy="noeviction",
    append_only=True,
    memory_used=None,
    is_replica=False,
)


@dataclass
class Given:
    """Implements ``Inspector``: two servers that are as they are given."""

    mongodb: StoreFacts | None = MONGODB
    queue: RedisFacts | None = REDIS
    patience: timedelta | None = None

    def store(self, *, patience: timedelta = PATIENT) -> StoreFacts | None:
        self.patience = patience
        return self.mongodb

    def redis(self) -> RedisFacts | None:
        return self.queue


@dataclass
class Queues:
    """Implements ``SendQueues`` over a few numbers."""

    messages: dict[str, int] | None = field(default_factory=dict)

    def backlog(self) -> Mapping[str, int] | None:
        return self.messages

    def clear(self, provider: str) -> int | None:
        if self.messages is None:
            return None
        theirs = [queue for queue in self.messages if provider_of(queue) == provider]
        return sum(self.messages.pop(queue) for queue in theirs)


def a_self_check(
    inspector: Given | None = None,
    queues: Queues | None = None,
    *,
    policy: Policy | None = None,
    production: bool = True,
    warnings: tuple[str, ...] = (),
) -> SelfCheck:
    """Give one of two sound servers, with the providers alpha and beta."""
    return SelfCheck(
        Premises(
            inspector=inspector or Given(),
            queues=queues or Queues(),
            policy=policy or Policy(),
            production=production,
            providers=(ALPHA, BETA),
            warnings=warnings,
        )
    )


def results(checks: Iterable[Check]) -> dict[str, str]:
    return {check.name: check.result.value for check in checks}


def not_fine(checks: Iterable[Check]) -> dict[str, str]:
    found = list(checks)
    assert all(check.found for check in found)
    assert all(bool(check.do) is (check.result is not Result.OK) for check in found)
    return {name: word for name, word in results(found).items() if word != "ok"}


class Lonely(MemoryBreakerBoard):
    """A board of which no other process hears."""

    @property
    def is_shared(self) -> bool:
        return False

    def view(self, provider: str) -> BreakerView:
        return BreakerView(health=self.health(provider))

    def reset(self, provider: str) -> bool:
        return False


def a_lonely_board(world: Simulation) -> Lonely:
    """Give the board of a process that cannot reach Redis."""
    return Lonely(
        tuple(world.providers),
        fail_max=5,
        reset=seconds(30),
        window=seconds(60),
        timeout=world.policy.timeout,
        clock=world.clock,
    )
