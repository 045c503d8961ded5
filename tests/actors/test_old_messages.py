"""Messages as an older release wrote them: read and acted on, whatever came since."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from dramatiq import Worker

from postroom.actors.broker import build_broker
from postroom.actors.provider_router import declare_router
from postroom.actors.reconcile import declare_reconcile, declare_release
from postroom.actors.send import declare_send
from postroom.actors.sweep import declare_sweep
from postroom.adapters.clock import SystemClock
from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.domain.email import Delivery, Priority, Routing
from postroom.domain.hint import Hint
from postroom.domain.policy import Policy
from postroom.domain.routing import Standing
from postroom.services.next_step import Done, NextStep
from postroom.services.offer import Swept

V1 = Path(__file__).parents[1] / "payloads" / "hints" / "v1"
PATIENCE_S = 30.0

#: What a hint of the first release said, in the words of this one.
HINT = Hint(
    email_id="EMAIL-ID",
    routing=Routing(
        from_domain="example.org", size_bytes=7, recipients=1, attachments=0, tags=1
    ),
    standing=Standing(
        tries={"mailgun": 1},
        excluded=frozenset({"mailgun"}),
        resting={"mailgun": datetime(2026, 11, 24, 7, 43, 20, 250000, UTC)},
    ),
    provider=None,
    delivery=Delivery.AT_LEAST_ONCE,
    priority=Priority.NORMAL,
)

EXPECTED: dict[str, object] = {
    "router": ("route", HINT),
    "router_later": ("route", HINT),
    "send": ("sendgrid", HINT),
    "send_again": ("sendgrid", HINT),
    "reconcile": ("reconcile", "EMAIL-ID"),
    "release": ("release", "sendgrid"),
    "sweep_by_router": "sweep",
    "sweep_by_clock": "sweep",
}


class Services:
    """What the actors call, taking notes."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def noting(self, name: str) -> Callable[[object], NextStep]:
        def note(what: object) -> NextStep:
            self.told.append((name, what))
            return Done()

        return note

    def attempt(self, provider: str, hint: Hint) -> NextStep:
        return self.noting(provider)(hint)

    def release(self, provider: str) -> int:
        self.noting("release")(provider)
        return 0

    def sweep(self) -> Swept:
        self.told.append("sweep")
        return Swept()


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def worker(redis_client: redis.Redis, services: Services) -> Worker:
    broker = build_broker(redis_client)
    declare_router(broker, services.noting("route"), Policy())
    declare_send(broker, "sendgrid", services.attempt, Policy())
    declare_reconcile(broker, services.noting("reconcile"), Policy())
    declare_release(broker, services.release, Policy())
    declare_sweep(broker, services.sweep, MemoryHeartbeats(SystemClock()))
    return Worker(broker, worker_threads=2, worker_timeout=20)


def put(client: redis.Redis, text: str) -> None:
    """Leave a message where it was taken from."""
    message = json.loads(text)
    queue, key = message["queue_name"], message["options"]["redis_message_id"]
    client.hset(f"dramatiq:{queue}.msgs", key, text)
    client.rpush(f"dramatiq:{queue}", key)


def left(client: redis.Redis) -> set[bytes]:
    return {
        key for key in client.scan_iter("dramatiq:*") if b"__heartbeats__" not in key
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_a_message_of_the_first_release_is_acted_on(
    redis_client: redis.Redis, services: Services, worker: Worker, name: str
) -> None:
    text = (V1 / f"{name}.json").read_text().strip()
    text = text.replace("SCHEDULED-AT", str(datetime.now(UTC)))
    text = re.sub(r'"eta":\d+', f'"eta":{round(time.time() * 1000)}', text)
    put(redis_client, text)

    worker.start()
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not services.told or left(redis_client):
            assert time.monotonic() < give_up, (services.told, left(redis_client))
            time.sleep(0.02)
    finally:
        worker.stop(10_000)

    assert services.told == [EXPECTED[name]]


def test_every_message_that_was_kept_is_tried() -> None:
    assert {path.stem for path in V1.glob("*.json")} == set(EXPECTED)


def test_todays_hint_still_says_what_the_first_release_reads() -> None:
    """A rollback leaves messages of this release to the one before."""
    kept = json.loads((V1 / "router.json").read_text())["args"][0]

    written = HINT.to_message()

    assert {name: written[name] for name in kept} == kept
