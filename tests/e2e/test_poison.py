"""Emails that crash the worker, each time: they end, and the others are sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from tests.e2e import poisonous
from tests.e2e.load import Load
from tests.e2e.scale import scaled
from tests.e2e.service import Service

#: How long the worker is crashed before the claim, in seconds. Dramatiq brings back
#: what a dead worker had in hand after 30 s: the full size sees that too.
CRASHING_S = scaled(suite=6.0, full=240.0)

#: Offers of the sweep until then, after 1 s, 2 s, 4 s and so on, and the first hint.
OFFERS = 3 + int(math.log2(CRASHING_S))


#: How often an email may end a worker; one beside it is hit now and then too.
MAX_UNKNOWN = 3


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
        return lines | {"worker": poisonous.line(lines["worker"])}

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


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    settings = {
        "POSTROOM_LEASE_S": "2.5",
        "POSTROOM_UNKNOWN_GRACE_S": "0.3",
        "POSTROOM_MAX_UNKNOWN": str(MAX_UNKNOWN),
    }
    with Guarded(tmp_path_factory.mktemp("guarded"), **settings) as running:
        yield running


def make_old(service: Service, email_id: str) -> None:
    """Let a day pass for one email."""
    with MongoClient[dict[str, Any]](service.mongodb.url) as client:
        client.get_default_database()["emails"].update_one(
            {"_id": ObjectId(email_id)},
            {"$set": {"first_due_at": datetime.now(UTC) - timedelta(days=1)}},
        )


def test_one_that_crashes_before_the_claim_expires_and_the_others_are_sent(
    guarded: Guarded,
) -> None:
    began = time.monotonic()
    with Load(guarded, clients=1, pause_s=0.2) as load:
        poison = guarded.accept(subject=poisonous.IN_BUILD)
        guarded.wait_until(
            lambda: time.monotonic() - began > CRASHING_S and bool(guarded.crashes),
            "crashes",
            patience_s=CRASHING_S + 60,
        )
        during = guarded.email(poison)
        make_old(guarded, poison)
        guarded.wait_for_state(poison, "failed")

    assert during["state"] == "queued"
    email = guarded.email(poison)
    assert email["reason"] == "expired"
    assert email["attempts"] == []
    guarded.wait_for_state(load.accepted, "sent")
    crashes = [round(at - began) for at in guarded.crashes]
    print(f"\ncrashed {len(crashes)} times in {CRASHING_S:.0f} s, at {crashes}")
    assert len(crashes) <= 2 * OFFERS


def test_one_that_crashes_after_the_claim_is_held_and_the_others_are_sent(
    guarded: Guarded,
) -> None:
    before = len(guarded.crashes)
    with Load(guarded, clients=1, pause_s=0.2) as load:
        poison = guarded.accept(subject=poisonous.IN_SEND)
        guarded.wait_until(
            lambda: guarded.email(poison)["waiting_for"] == "operator", "held"
        )

    email = guarded.email(poison)
    assert email["state"] == "unknown"
    assert [a["outcome"] for a in email["attempts"]] == ["unknown"] * (1 + MAX_UNKNOWN)
    guarded.wait_for_state(load.accepted, "sent")
    assert len(guarded.crashes) - before == 1 + MAX_UNKNOWN
