"""A router erases by itself what is old, on a real store, and tells of it."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from dramatiq import Worker
from dramatiq.brokers.stub import StubBroker
from pymongo.database import Database

from postroom.actors.pulse import Pulse
from postroom.actors.retention import retaining
from postroom.adapters.clock import FakeClock
from postroom.adapters.mongo_inserts import LARGEST_INLINE
from postroom.adapters.mongo_retention import MongoRetention
from postroom.adapters.mongo_store import MongoStore
from postroom.domain.email import State
from postroom.domain.policy import Policy
from postroom.services.retain import Retain, Retained
from tests.builders import ID, NOW, a_content, an_email, seconds

#: Bound on any wait, in seconds; only a fault reaches it.
PATIENCE_S = 30.0

OPEN_ID = "f" * 24
LARGE = a_content(text="x" * (LARGEST_INLINE + 1))


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (Retained(), []),
        (
            Retained(erased=2, orphans=1, keys=3),
            [
                {
                    "event": "retention.done",
                    "log_level": "info",
                    "erased": 2,
                    "removed": 0,
                    "orphans": 1,
                    "keys": 3,
                }
            ],
        ),
    ],
)
def test_it_tells_only_of_what_was_done(done: Retained, told: list[Any]) -> None:
    with structlog.testing.capture_logs() as lines:
        retaining(lambda: done)()

    assert lines == told


def test_several_routers_erase_what_is_old_and_nothing_that_is_open(
    mongo_database: Database[dict[str, Any]],
) -> None:
    store = MongoStore(mongo_database)
    store.ensure_indexes()
    store.insert(an_email(State.SENT, content=LARGE, final_at=NOW))
    waiting = an_email(email_id=OPEN_ID, content=LARGE, created_at=NOW)
    store.insert(waiting)
    clock = FakeClock(NOW)
    broker = StubBroker()
    for _ in range(3):
        retain = Retain(
            retention=MongoRetention(mongo_database), clock=clock, policy=Policy()
        )
        pulse = Pulse()
        pulse.every(timedelta(milliseconds=20), retaining(retain))
        broker.add_middleware(pulse)

    worker = Worker(broker, worker_threads=1)
    worker.start()
    try:
        clock.advance(timedelta(days=30))
        wait_until(lambda: mongo_database["payloads"].count_documents({}) == 1)
        erased = store.load(ID)
        clock.advance(timedelta(days=370))
        wait_until(lambda: mongo_database["emails"].count_documents({}) == 1)
    finally:
        worker.stop()

    assert erased is not None
    assert erased.content is not None
    assert (erased.state, erased.content.text) == (State.SENT, None)
    assert store.load(OPEN_ID) == waiting


def test_a_first_call_may_come_later_than_the_start() -> None:
    broker = StubBroker()
    calls: list[str] = []
    pulse = Pulse()
    pulse.every(seconds(60), lambda: calls.append("late"), first=seconds(60))
    pulse.every(seconds(0.01), lambda: calls.append("soon"))
    broker.add_middleware(pulse)
    worker = Worker(broker, worker_threads=1)

    worker.start()
    wait_until(lambda: len(calls) >= 3)
    worker.stop()

    assert "late" not in calls


def test_a_worker_that_stops_before_that_makes_none() -> None:
    broker = StubBroker()
    calls: list[str] = []
    pulse = Pulse()
    pulse.every(seconds(60), lambda: calls.append("late"), first=seconds(60))
    broker.add_middleware(pulse)
    worker = Worker(broker, worker_threads=1)

    worker.start()
    worker.stop()
    pulse.before_worker_shutdown(broker, worker)

    assert calls == []
