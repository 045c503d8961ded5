"""The sweep: each minute by the clock, once a tick, and it says what it did."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from dramatiq import Actor, Worker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import CurrentMessage, Retries
from periodiq import PeriodiqMiddleware

from postroom.actors.sweep import declare_sweep
from postroom.adapters.clock import SystemClock
from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.domain.errors import HintError
from postroom.services.offer import Swept


@pytest.fixture
def heartbeats() -> MemoryHeartbeats:
    return MemoryHeartbeats(SystemClock())


def declared(
    offer: Callable[[], Swept], heartbeats: MemoryHeartbeats
) -> Actor[..., None]:
    broker = StubBroker(middleware=[CurrentMessage(), Retries(), PeriodiqMiddleware()])
    return declare_sweep(broker, offer, heartbeats)


def test_the_clock_sends_it_each_minute(heartbeats: MemoryHeartbeats) -> None:
    sweep = declared(Swept, heartbeats)
    first = datetime(2026, 11, 24, tzinfo=UTC)

    minutes = [first + timedelta(minutes=no) for no in range(24 * 60)]

    assert all(sweep.options["periodic"].validate(minute) for minute in minutes)


@pytest.mark.parametrize(
    ("swept", "lines"), [(Swept(), 0), (Swept(offered=2, expired=1), 1)]
)
def test_it_leaves_a_sign_of_life_and_tells_only_of_work(
    heartbeats: MemoryHeartbeats, swept: Swept, lines: int
) -> None:
    sweep = declared(lambda: swept, heartbeats)

    with structlog.testing.capture_logs() as told:
        sweep()

    assert len(told) == lines
    assert "sweep" in (heartbeats.ages() or {})


def test_only_a_tick_of_the_clock_is_a_sign_of_life_of_the_scheduler(
    heartbeats: MemoryHeartbeats,
) -> None:
    sweep = declared(Swept, heartbeats)
    sweep()
    assert "scheduler" not in (heartbeats.ages() or {})

    sweep.send()
    worker = Worker(sweep.broker, worker_timeout=20)
    worker.start()
    try:
        sweep.broker.join(sweep.queue_name, timeout=30_000)
        worker.join()
    finally:
        worker.stop()

    assert set(heartbeats.ages() or {}) == {"sweep", "scheduler"}


def test_one_that_failed_leaves_no_sign_of_life(heartbeats: MemoryHeartbeats) -> None:
    def fail() -> Swept:
        raise HintError("away")

    sweep = declared(fail, heartbeats)

    with pytest.raises(HintError):
        sweep()

    assert "sweep" not in (heartbeats.ages() or {})


def test_one_that_comes_while_another_is_at_work_leaves_it_the_work(
    heartbeats: MemoryHeartbeats,
) -> None:
    swept: list[int] = []

    def offer() -> Swept:
        swept.append(1)
        sweep()
        return Swept()

    sweep = declared(offer, heartbeats)

    sweep()
    assert swept == [1]

    sweep()
    assert swept == [1, 1]


def test_one_that_failed_is_not_tried_again_the_next_tick_does_it(
    heartbeats: MemoryHeartbeats,
) -> None:
    assert declared(Swept, heartbeats).options["max_retries"] == 0
