"""What load balancers and monitors see."""

from importlib.metadata import version

import pytest

from postroom.adapters.memory_store import MemoryStore
from tests.web.stand import Stand


class ReadOnlyStore(MemoryStore):
    def is_writable(self) -> bool:
        return False


def test_health_says_who_is_there(stand: Stand) -> None:
    assert stand.get("/health").json == {
        "name": "postroom",
        "version": version("postroom"),
    }


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_head_is_answered_without_a_body(stand: Stand, path: str) -> None:
    answer = stand.client.simulate_head(path)

    assert answer.status_code == 200
    assert answer.content == b""


def test_ready_is_200_with_nothing_degraded_while_all_is_well(stand: Stand) -> None:
    answer = stand.get("/ready")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "degraded": []}


def test_ready_stays_200_without_redis_and_says_so(stand: Stand) -> None:
    stand.beats.given = None

    answer = stand.get("/ready")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "degraded": ["redis"]}


def test_ready_names_the_processes_that_nobody_has_seen(stand: Stand) -> None:
    stand.beats.given = {}

    assert stand.get("/ready").json["degraded"] == ["worker", "router", "sweep"]


def test_ready_is_503_while_nothing_can_be_stored() -> None:
    answer = Stand(store=ReadOnlyStore()).get("/ready")

    assert answer.status_code == 503
    assert answer.json["ready"] is False
