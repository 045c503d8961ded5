"""The sweep has two clocks, and either of them alone keeps every email moving.

The email here has lost its hint: nothing but a sweep can bring it on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import redis

from postroom.adapters.heartbeats import RedisHeartbeats
from tests.e2e.service import Service

#: periodiq ticks at each full minute.
PATIENCE_S = 120.0


class Pulsed(Service):
    """A service without a scheduler."""

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        del lines["scheduler"]
        return lines

    def accept_without_hint(self) -> str:
        """Accept an email whose hint Redis loses before anybody has seen it."""
        self.kill9("router")
        email_id = self.accept(subject="without a hint")
        self.flush_redis()
        self.start("router")
        return email_id

    def beats(self) -> Mapping[str, timedelta]:
        with redis.Redis.from_url(self.redis.url) as client:
            return RedisHeartbeats(client).ages() or {}


class Unpulsed(Pulsed):
    """A service with a scheduler, and a router that does nothing by itself."""

    @property
    def lines(self) -> dict[str, str]:
        lines = Service(self.folder).lines
        ours = "postroom.actors.worker:router"
        return lines | {
            "router": lines["router"].replace(ours, "tests.e2e.unpulsed:router")
        }

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                answer = self.request("GET", "/ready")
            except OSError:
                return False
            return answer.status == 200 and "worker" not in answer.body["degraded"]

        self.wait_until(is_ready, "web and worker")


def test_without_a_scheduler_the_routers_own_pulse_sweeps(tmp_path: Path) -> None:
    with Pulsed(tmp_path) as service:
        email_id = service.accept_without_hint()

        service.wait_for_state(email_id, "sent")

        assert "scheduler" not in service.beats()
        assert "sweep" in service.beats()


def test_without_the_pulse_the_schedulers_tick_sweeps(tmp_path: Path) -> None:
    with Unpulsed(tmp_path) as service:
        began = time.monotonic()
        email_id = service.accept_without_hint()

        service.wait_for_state(email_id, "sent", patience_s=PATIENCE_S)

        beats = service.beats()
        assert {"scheduler", "sweep"} <= set(beats)
        assert "router" not in beats
        print(f"\nby a tick alone: sent after {time.monotonic() - began:.0f} s")


def test_with_neither_of_them_nothing_moves(tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""

    class Neither(Unpulsed):
        @property
        def lines(self) -> dict[str, str]:
            lines = super().lines
            del lines["scheduler"]
            return lines

    with Neither(tmp_path) as service:
        lost = service.accept_without_hint()
        others = [service.accept() for _ in range(3)]

        service.wait_for_state(others, "sent")

        assert service.email(lost)["state"] == "queued"
        assert "sweep" not in service.beats()
