"""Faults inside an actor: what nobody expects, and a store that goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e import poisonous
from tests.e2e.load import sends
from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Rule

#: In no key, value or log line while the test runs.
CANARY = "canary.5f2c"

#: What the provider takes for a call, in seconds.
CALL_S = 1.5

#: Sends in hand when MongoDB goes away.
IN_HAND = 8


class Upset(Service):
    """A service with the test's own worker."""

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        return lines | {"worker": poisonous.line(lines["worker"])}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"POSTROOM_PROVIDER_TIMEOUT_S": "5", "POSTROOM_LEASE_S": "20"}
    with Upset(tmp_path_factory.mktemp("upset"), **settings) as running:
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


def test_an_unexpected_exception_costs_the_message_and_not_the_email(
    service: Service, fake: AsProcess
) -> None:
    fault = Path(service.environ["HOME"]) / poisonous.FAULT
    fault.touch()
    dead = "dramatiq:send.sendgrid.XQ"

    with (
        redis.Redis.from_url(service.redis.url) as client,
        Search(service.redis.url) as search,
    ):
        email_id = service.accept(
            to=[f"{CANARY}@example.com"], text=CANARY, subject=poisonous.RAISING
        )
        service.wait_until(lambda: client.zcard(dead) > 0, "a message given up")
        during = service.email(email_id)
        fault.unlink()
        service.wait_for_state(email_id, "sent")

    assert during["state"] == "queued"
    assert during["attempts"] == []
    assert sends(fake)[email_id] == 1
    assert search.rounds > 0
    assert search.found == []
    assert not [name for name in service.processes if CANARY in service.log(name)]


def test_results_are_recorded_when_mongodb_was_away_meanwhile(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(delay_ms=round(CALL_S * 1000)))
    ids = [service.accept(subject=f"no. {n}") for n in range(IN_HAND)]
    service.wait_until(lambda: len(fake.calls) >= IN_HAND, "all of them in hand")

    service.mongodb.kill9()
    time.sleep(2 * CALL_S)  # their answers come in meanwhile
    service.mongodb.start()

    service.wait_for_state(ids, "sent")
    emails = [service.email(email_id) for email_id in ids]
    outcomes = [[a["outcome"] for a in email["attempts"]] for email in emails]
    assert outcomes == [["accepted"]] * IN_HAND
    assert all(sends(fake)[email_id] == 1 for email_id in ids)
