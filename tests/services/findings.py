"""What the doctor's tests share: sound servers, and a board that nobody else hears."""

from collections.abc import Iterable

from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.domain.inspection import RedisFacts, StoreFacts
from postroom.domain.ports import BreakerView
from postroom.services.checkup import Check, Result
from tests.builders import seconds
from tests.simulation import Simulation

MONGODB = StoreFacts(
    version="7.0.14",
    writable=True,
    replica_set="rs0",
    missing_indexes=(),
    offset=seconds(0.3),
)
REDIS = RedisFacts(
    version="7.2.4",
    eviction_policy="noeviction",
    append_only=True,
    memory_used=None,
    is_replica=False,
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
