"""Workers and routers whose clocks are two minutes off, beside ones that are right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.load import sends
from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Mode, Rule

#: More than the 30 s after which a worker counts as dead for the others, in seconds.
OFF_S = 120

#: What the provider takes for a call: time enough for others to lay hands on it.
CALL_S = 2.5

RETRY_AFTER_S = 3

#: The lines that run more than once: what they run, and on which clock.
WRONG = {
    "worker_ahead": ("worker", OFF_S),
    "router_ahead": ("router", OFF_S),
    "worker_behind": ("worker", -OFF_S),
    "router_behind": ("router", -OFF_S),
}

#: Holds the module that sets the clock.
FOLDER = Path(__file__).parent / "clock_off"


class ThreeClocks(Service):
    """A service with a worker and a router on each of three clocks."""

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        return lines | {name: lines[line] for name, (line, _) in WRONG.items()}

    def start(self, name: str, **environ: str) -> None:
        if name in WRONG:
            off_s = str(WRONG[name][1])
            environ |= {"PYTHONPATH": str(FOLDER), "CLOCK_OFF_S": off_s}
        super().start(name, **environ)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "POSTROOM_PROVIDER_TIMEOUT_S": "8",
        "POSTROOM_LEASE_S": "30",
        "WORKER_THREADS": "5",
    }
    with ThreeClocks(tmp_path_factory.mktemp("clocks"), **settings) as running:
        running.wait_until(lambda: are_off(running), "three clocks")
        yield running


def are_off(service: Service) -> bool:
    """Whether Dramatiq's signs of life lie before and behind the true time."""
    with redis.Redis.from_url(service.redis.url) as client:
        beats = client.zrange("dramatiq:__heartbeats__", 0, -1, withscores=True)
    ahead_s = sorted(at_ms / 1000 - time.time() for _, at_ms in beats)
    return ahead_s[0] < -OFF_S / 2 and ahead_s[-1] > OFF_S / 2


def attempted_by(service: Service, name: str) -> int:
    return service.log(name).count("email.attempted")


def calls_of(fake: AsProcess, email_id: str) -> list[dict[str, Any]]:
    return [call for call in fake.calls if call["email_id"] == email_id]


def test_nothing_that_a_healthy_worker_has_in_hand_is_sent_by_another(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(delay_ms=round(CALL_S * 1000)))

    ids = [service.accept(subject=f"no. {n}") for n in range(24)]

    service.wait_for_state(ids, "sent")
    counts = sends(fake)
    assert {email_id: counts[email_id] for email_id in ids} == dict.fromkeys(ids, 1)
    for email_id in ids:
        outcomes = [a["outcome"] for a in service.email(email_id)["attempts"]]
        assert outcomes == ["accepted"]
    took_part = ["worker", "worker_ahead", "worker_behind"]
    assert all(attempted_by(service, name) > 0 for name in took_part)


def test_nothing_leaves_before_its_time(service: Service, fake: AsProcess) -> None:
    at = datetime.now(UTC) + timedelta(seconds=4)

    ids = [service.accept(scheduled_at=at.isoformat()) for _ in range(10)]

    service.wait_for_state(ids, "sent")
    waits = [taken["at"] - at.timestamp() for taken in fake.taken]
    assert len(waits) == len(ids)
    assert min(waits) >= 0
    print(f"\nscheduled: from {min(waits):.2f} to {max(waits):.2f} s after their time")


def test_a_provider_is_left_alone_for_as_long_as_it_asked(
    service: Service, fake: AsProcess
) -> None:
    header = {"Retry-After": str(RETRY_AFTER_S)}
    fake.script(
        *(
            Rule(provider=name, mode=Mode.STATUS, status=429, headers=header, times=1)
            for name in ("sendgrid", "mailgun")
        )
    )

    email_id = service.accept()

    service.wait_for_state(email_id, "sent")
    first, *_, last = calls_of(fake, email_id)
    of_last = [c for c in calls_of(fake, email_id) if c["provider"] == last["provider"]]
    waited = of_last[-1]["at"] - of_last[0]["at"]
    assert first is not last
    assert waited >= RETRY_AFTER_S
    print(f"\nRetry-After {RETRY_AFTER_S}: called again after {waited:.2f} s")
