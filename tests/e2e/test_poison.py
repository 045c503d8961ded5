"""Emails that upset the worker, each time: they end, and the others are sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from bson import ObjectId
from pymongo import MongoClient

from tests.e2e import poisonous
from tests.e2e.load import Load, sends
from tests.e2e.scale import scaled
from tests.e2e.service import Service

#: How long the worker is crashed before the claim, in seconds. Dramatiq brings back
#: what a dead worker had in hand after 30 s: the full size sees that too.
CRASHING_S = scaled(suite=6.0, full=240.0)

#: Offers of the sweep until then, after 1 s, 2 s, 4 s and so on, and the first hint.
OFFERS = 3 + int(math.log2(CRASHING_S))


#: How often an email may end a worker; one beside it is hit now and then too.
MAX_UNKNOWN = 3

#: In no key, value or log line while the test runs.
CANARY = "canary.5f2c"


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


class Search:
    """Looks through all of a Redis, again and again, for the canary."""

    def __init__(self, url: str) -> None:
        self.found: list[tuple[bytes, object]] = []
        self.rounds = 0
        self._client = redis.Redis.from_url(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Search:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for key in self._client.scan_iter():
                value = self._read(key)
                if CANARY in repr((key, value)):
                    self.found.append((key, value))
            self.rounds += 1

    def _read(self, key: bytes) -> object:
        match self._client.type(key):
            case b"hash":
                return self._client.hgetall(key)
            case b"list":
                return self._client.lrange(key, 0, -1)
            case b"set":
                return self._client.smembers(key)
            case b"zset":
                return self._client.zrange(key, 0, -1)
            case b"string":
                return self._client.get(key)
            case _:
                return None  # gone meanwhile


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


def test_an_unexpected_exception_costs_the_message_and_not_the_email(
    guarded: Guarded,
) -> None:
    fault = Path(guarded.environ["HOME"]) / poisonous.FAULT
    fault.touch()
    dead = "dramatiq:send.sendgrid.XQ"

    with (
        redis.Redis.from_url(guarded.redis.url) as client,
        Search(guarded.redis.url) as search,
    ):
        email_id = guarded.accept(
            to=[f"{CANARY}@example.com"], text=CANARY, subject=poisonous.RAISING
        )
        guarded.wait_until(lambda: client.zcard(dead) > 0, "a message given up")
        during = guarded.email(email_id)
        fault.unlink()
        guarded.wait_for_state(email_id, "sent")

    assert during["state"] == "queued"
    assert during["attempts"] == []
    assert sends(guarded.fake)[email_id] == 1
    assert search.rounds > 0
    assert search.found == []
    assert not [name for name in guarded.processes if CANARY in guarded.log(name)]
