"""Emails that crash the worker, each time: they end, and the others are sent."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

from tests.e2e import poisonous
from tests.e2e.load import Load
from tests.e2e.scale import scaled
from tests.e2e.service import Service

#: How long an email may wait before it expires, in seconds. Dramatiq brings back what
#: a dead worker had in hand after 30 s: the full size sees that too.
MAX_AGE_S = scaled(suite=12.0, full=240.0)

#: Offers of the sweep until then: after 1 s, 2 s, 4 s, and so on. And the first hint.
OFFERS = 3 + int(math.log2(MAX_AGE_S))


class Guarded(Service):
    """A service whose worker may be crashed by an email, and is started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        self.crashes: list[float] = []
        self._stop = threading.Event()
        self._guard = threading.Thread(target=self._start_again)

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        mark = f"{poisonous.__name__}:send"
        return lines | {
            "worker": lines["worker"].replace("postroom.actors.worker:send", mark)
        }

    def _start_all(self) -> None:
        super()._start_all()
        self._guard.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._guard.is_alive():
            self._guard.join()
        super().__exit__()

    def _start_again(self) -> None:
        while not self._stop.wait(0.05):
            if self.processes["worker"].poll() is not None:
                self.crashes.append(time.monotonic())
                self.start("worker")


def test_one_that_crashes_before_the_claim_expires_and_the_others_are_sent(
    tmp_path: Path,
) -> None:
    max_age_h = f"{MAX_AGE_S / 3600:.4f}"
    with Guarded(tmp_path, POSTROOM_MAX_AGE_H=max_age_h) as guarded:
        began = time.monotonic()
        with Load(guarded, clients=1, pause_s=0.2) as load:
            poison = guarded.accept(subject=poisonous.IN_BUILD)
            guarded.wait_for_state(poison, "failed", patience_s=MAX_AGE_S + 60)

        email = guarded.email(poison)
        assert email["reason"] == "expired"
        assert email["attempts"] == []
        guarded.wait_for_state(load.accepted, "sent")
    crashes = [round(at - began) for at in guarded.crashes]
    print(f"\ncrashed {len(crashes)} times in {MAX_AGE_S:.0f} s, at {crashes}")
    assert len(crashes) <= 2 * OFFERS


def test_one_that_crashes_after_the_claim_is_held_and_the_others_are_sent(
    tmp_path: Path,
) -> None:
    quick = {"POSTROOM_LEASE_S": "2.5", "POSTROOM_UNKNOWN_GRACE_S": "0.5"}
    with Guarded(tmp_path, POSTROOM_MAX_UNKNOWN="1", **quick) as guarded:
        with Load(guarded, clients=1, pause_s=0.2) as load:
            poison = guarded.accept(subject=poisonous.IN_SEND)
            guarded.wait_until(
                lambda: guarded.email(poison)["waiting_for"] == "operator", "held"
            )

        email = guarded.email(poison)
        assert email["state"] == "unknown"
        assert [a["outcome"] for a in email["attempts"]] == ["unknown"] * 2
        guarded.wait_for_state(load.accepted, "sent")
    assert len(guarded.crashes) == 2
