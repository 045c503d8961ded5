"""What starting processes make of servers that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from postroom.adapters.hints import RedisHints
from postroom.cli import procfile
from tests.builders import a_hint, seconds
from tests.e2e.service import PATIENCE_S, ROOT, Service

LINES = procfile.read(ROOT / "Procfile")

#: What each line ends with when it refuses to start: gunicorn has a code of its own,
#: on which it does not try again.
REFUSED = dict.fromkeys(LINES, 1) | {"web": 3}

#: Holds the module that sets the clock.
CLOCK_OFF = Path(__file__).parent / "clock_off"


class Bare(Service):
    """Two servers, and no process but those that a test starts."""

    def __enter__(self) -> Bare:
        self.mongodb.start()
        self.redis.start()
        return self

    @property
    def lines(self) -> dict[str, str]:
        return super().lines | {
            "doctor": "postroom doctor --json",
            "forget": "postroom providers forget old --json",
        }

    @property
    def environ(self) -> dict[str, str]:
        unread = {"SENDGRID_API_KEY", "SENDGRID_API_URL", "MAILGUN_API_URL"}
        return {
            **{name: v for name, v in super().environ.items() if name not in unread},
            "POSTROOM_ENV": "production",
            "POSTROOM_API_KEY": "k" * 40,
            "POSTROOM_PROVIDERS": "mailgun",
            "POSTROOM_LEASE_S": "12",
        }

    def end_of(self, name: str, **environ: str) -> tuple[int, str]:
        """Run a line that ends by itself: its exit code, and what it said."""
        (self.folder / f"{name}.log").unlink(missing_ok=True)
        self.start(name, **environ)
        code = self.processes.pop(name).wait(PATIENCE_S)
        return code, self.log(name)

    def begin(self, name: str, **environ: str) -> None:
        """Start a line afresh."""
        (self.folder / f"{name}.log").unlink(missing_ok=True)
        self.start(name, **environ)

    def checks(self, name: str) -> dict[str, str]:
        """Return the checks that a line has told of so far: name and what was found."""
        events = [
            json.loads(line)
            for line in self.log(name).splitlines()
            if line.startswith("{") and line.endswith("}")
        ]
        told = [event for event in events if event["event"].startswith("check.")]
        return {event["check"]: event["found"] for event in told}


@pytest.fixture(scope="module")
def module_bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    with Bare(tmp_path_factory.mktemp("bare")) as running:
        running.prepare()
        yield running


@pytest.fixture
def bare(module_bare: Bare) -> Iterator[Bare]:
    """Give the servers, empty of messages; what a test starts ends with it."""
    module_bare.flush_redis()
    yield module_bare
    for name in list(module_bare.processes):
        module_bare.kill9(name)
        del module_bare.processes[name]


@pytest.fixture
def evicting(bare: Bare) -> Iterator[Bare]:
    with redis.Redis.from_url(bare.redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield bare
        client.config_set("maxmemory-policy", "noeviction")


def refusals(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("postroom: ")]


@pytest.mark.parametrize("name", LINES)
def test_no_process_starts_on_a_redis_that_evicts(evicting: Bare, name: str) -> None:
    code, said = evicting.end_of(name)

    assert code == REFUSED[name]
    (line,) = refusals(said)
    assert line.startswith("postroom: refuses to start: redis.eviction: ")
    assert "maxmemory-policy is allkeys-lru" in line
    assert line.endswith("; set it to noeviction")
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["release", "web", "worker"])
def test_production_does_not_start_with_a_lease_that_a_call_may_outlive(
    bare: Bare, name: str
) -> None:
    code, said = bare.end_of(name, POSTROOM_LEASE_S="11.9")

    assert code == REFUSED[name]
    (line,) = refusals(said)
    assert "refuses to start: lease: POSTROOM_LEASE_S is 11.9, under 12" in line


def test_the_doctor_says_of_the_same_servers_what_the_start_says(
    evicting: Bare,
) -> None:
    code, said = evicting.end_of("doctor")

    assert code == 1
    document = json.loads(said)
    (eviction,) = (c for c in document["checks"] if c["name"] == "redis.eviction")
    assert document["result"] == eviction["result"] == "refuse"
    (line,) = refusals(evicting.end_of("router")[1])
    assert line.endswith(f": redis.eviction: {eviction['found']}; {eviction['do']}")


def test_servers_that_are_away_are_waited_for(bare: Bare) -> None:
    bare.mongodb.stop()
    bare.redis.stop()
    try:
        bare.begin("router")
        bare.begin("web")
        bare.wait_until(lambda: len(bare.checks("web")) == 2, "two warnings")
        bare.wait_until(lambda: len(bare.checks("router")) == 2, "two warnings")
    finally:
        bare.mongodb.start()
        bare.redis.start()

    def degraded() -> list[str]:
        try:
            answer = bare.request("GET", "/ready")
        except OSError:
            return ["web"]
        return ["store"] if answer.status == 503 else answer.body["degraded"]

    bare.wait_until(lambda: degraded() == ["worker"], "router and web at work")
    assert set(bare.checks("web")) == {"mongodb", "redis"}


@pytest.mark.parametrize(("off_s", "way"), [("120", "ahead of"), ("-120", "behind")])
def test_a_wrong_date_is_a_warning(bare: Bare, off_s: str, way: str) -> None:
    bare.begin("router", PYTHONPATH=str(CLOCK_OFF), CLOCK_OFF_S=off_s)

    bare.wait_until(lambda: "clock" in bare.checks("router"), "a warning")

    told = bare.checks("router")["clock"]
    assert f" {way} the store: " in told
    assert 110 <= int(told.split()[3]) <= 130
    assert bare.processes["router"].poll() is None


def test_a_redis_that_is_nearly_full_is_a_warning(bare: Bare) -> None:
    with redis.Redis.from_url(bare.redis.url) as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.2))
        try:
            bare.begin("router")
            bare.wait_until(lambda: "redis.memory" in bare.checks("router"), "warning")
        finally:
            client.config_set("maxmemory", 0)


def test_messages_for_nobody_are_told_by_router_and_doctor_until_they_are_forgotten(
    bare: Bare,
) -> None:
    with redis.Redis.from_url(bare.redis.url) as client:
        hints = RedisHints(client)
        for _ in range(12):
            hints.send("old", a_hint())
    told = "12 messages, no provider of that name"

    bare.begin("router")

    bare.wait_until(lambda: bool(bare.checks("router")), "a warning")
    assert bare.checks("router") == {"queue.send.old": told}
    assert checks_of(bare)["queue.send.old"] == told
    code, said = bare.end_of("forget")
    assert (code, json.loads(said)["messages"]) == (0, 12)
    assert "queue.send.old" not in checks_of(bare)


def checks_of(bare: Bare) -> dict[str, str]:
    document = json.loads(bare.end_of("doctor")[1])
    return {check["name"]: check["found"] for check in document["checks"]}


def test_messages_that_no_worker_takes_are_told_until_one_does(bare: Bare) -> None:
    with redis.Redis.from_url(bare.redis.url) as client:
        RedisHints(client).send("mailgun", a_hint(), delay=seconds(3600))
    told = checks_of(bare)["queue.send.mailgun"]
    assert told == "1 message, no worker serves send.mailgun"

    bare.begin("worker")

    bare.wait_until(
        lambda: checks_of(bare)["queue.send.mailgun"] == "1 message", "a worker"
    )
