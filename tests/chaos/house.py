"""The service under chaos: its processes, behind proxies, on servers that can be lost.

A process that ends by itself is started again, as any Procfile host does, and counted.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis as redis_py
from pymongo import MongoClient

from tests.chaos import baseline, evidence
from tests.chaos.evidence import Document
from tests.chaos.proxy import Proxies
from tests.e2e.service import FAST, PATIENCE_S, Service
from tests.fake_provider import AsProcess
from tests.servers import Server, a_mongodb

CLOCK_OFF = Path(__file__).parents[1] / "e2e" / "clock_off"

#: As the proof asks: every wait short, so that the protocol passes through all of its
#: ways within a minute.
SHORT = FAST | {
    "POSTROOM_SWEEP_EVERY_S": "1",
    "WORKER_THREADS": "16",
    "WEB_CONCURRENCY": "1",
}

#: What `--defaults` leaves as it is shipped.
SHIPPED = frozenset(
    name
    for name in SHORT
    if name.endswith("_S") or name in {"WORKER_THREADS", "WEB_CONCURRENCY"}
)

#: A provider that honours idempotency keys, and no other.
OF_KEYS = {"POSTROOM_PROVIDERS": "resend", "RESEND_API_KEY": "re_test"}

#: How often to look for processes that ended by themselves, in seconds.
WATCH_S = 0.5

#: So many of the attempts of an email in doubt, and it is held: as shipped.
MAX_UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        design: ``postroom``, or one of the weaker designs.
        provider: ``plain`` ones, or one that honours idempotency ``keys``.
        shipped: With the shipped settings.
        workers: How many there are: one or two.
        settings: On top of these.
    """

    seed: int
    design: str = "postroom"
    provider: str = "plain"
    shipped: bool = False
    workers: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        return self.design == "postroom"

    @property
    def environ(self) -> dict[str, str]:
        fast = {k: v for k, v in SHORT.items() if not self.shipped or k not in SHIPPED}
        keys = OF_KEYS if self.provider == "keys" else {}
        return {**fast, **keys, **self.settings}


class House(Service):
    """The processes of one design; proxies stand on all three of their ways out."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder)
        self.plan = plan
        self.mongodb: Server = a_mongodb(folder, test_commands=True)
        self.redis: Server = without_disk(self.redis)
        self.fake = AsProcess(
            folder,
            *("--refusals", str(evidence.path_of(folder, "refusals"))),
            *("--seed", str(plan.seed)),
        )
        self.proxies = Proxies()
        self.ended: Counter[str] = Counter()
        self._down: set[str] = set()
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def _start_all(self) -> None:
        self.mongodb.start()
        self.redis.start()
        self.fake.start()
        self.proxies.start(
            {
                "mongodb": self.mongodb.port,
                "redis": self.redis.port,
                "provider": self.fake.port,
            },
            seed=self.plan.seed,
        )
        self.prepare()
        for name in self.lines:
            if name != "release":
                self.start(name)
        self.wait_until_ready()
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._watcher.is_alive():
            self._watcher.join(PATIENCE_S)
        super().__exit__()
        self.proxies.stop()

    @property
    def lines(self) -> dict[str, str]:
        is_ours = self.plan.is_ours
        lines = super().lines if is_ours else baseline.lines(self.plan.design)
        return lines | ({"worker_b": lines["worker"]} if self.plan.workers > 1 else {})

    @property
    def environ(self) -> dict[str, str]:
        ports = self.proxies.ports
        # Else the driver finds the server's own address and goes past the proxy.
        uri = f"mongodb://127.0.0.1:{ports['mongodb']}/postroom?directConnection=true"
        provider = f"http://127.0.0.1:{ports['provider']}"
        environ = {k: v for k, v in super().environ.items() if k not in SHORT}
        return environ | {
            **self.plan.environ,
            "MONGODB_URI": uri,
            "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
            "SENDGRID_API_URL": provider,
            "MAILGUN_API_URL": provider,
            **({"RESEND_API_URL": provider} if self.plan.provider == "keys" else {}),
        }

    # Processes

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[None]:
        """Kill a line, and start it again afterwards."""
        with self._lock:
            self._down.add(name)
            self.kill9(name)
        try:
            yield
        finally:
            with self._lock:
                self.start(name)
                self._down.discard(name)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Freeze a line and all its children, and let it go on afterwards."""
        self.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(name, signal.SIGCONT)

    def leaders(self) -> dict[str, int]:
        """Return the leader of each line's process group, and of each server's."""
        found = {name: process.pid for name, process in self.processes.items()}
        for name, server in (("mongodb", self.mongodb), ("redis", self.redis)):
            with contextlib.suppress(AssertionError):  # it is away just now
                found[name] = server.pid
        return found

    def start_with_clock(self, name: str, *, off_s: float) -> None:
        """Start a line anew with a wrong wall clock."""
        with self._lock:
            self.kill9(name)
            self.start(name, PYTHONPATH=str(CLOCK_OFF), CLOCK_OFF_S=str(off_s))

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            with self._lock:
                for name, process in list(self.processes.items()):
                    if name not in self._down and process.poll() is not None:
                        self.ended[name] += 1
                        self.start(name)

    # What is stored, past the proxy

    @contextlib.contextmanager
    def emails(self) -> Iterator[Any]:
        with MongoClient[dict[str, Any]](self.mongodb.url) as client:
            yield client.get_default_database("postroom")["emails"]

    def count_open(self) -> int:
        """Return how many emails are neither final nor held."""
        with self.emails() as emails:
            count: int = emails.count_documents({"due_at": {"$exists": True}})
        return count

    def wait_until_drained(self, patience_s: float) -> float:
        """Wait until nothing is open; return how long that took.

        Whoever is slow is waited for: the patience is for how long nothing gets less.
        """
        began = since = time.monotonic()
        least = self.count_open()
        while least and time.monotonic() - since < patience_s:
            time.sleep(0.2)
            if (left := self.count_open()) < least:
                least, since = left, time.monotonic()
        return time.monotonic() - began

    def stored(self) -> list[Document]:
        """Return what the store says of each email."""
        with self.emails() as emails:
            return [_document(found) for found in emails.find()]

    def versions(self) -> dict[str, str]:
        """Return which servers these are."""
        with redis_py.Redis.from_url(self.redis.url) as client:
            info: Any = client.info("server")
        with MongoClient[dict[str, Any]](self.mongodb.url) as client:
            build = client.admin.command("buildInfo")
        return {
            "valkey": str(info.get("valkey_version") or info.get("redis_version")),
            "mongodb_protocol": str(build["version"]),
        }


def without_disk(server: Server) -> Server:
    """Return a Redis that comes back empty."""
    words = list(server.spec.command)
    words[words.index("--appendonly") + 1] = "no"
    assert urlsplit(server.url).port == server.port
    return Server(replace(server.spec, command=tuple(words)))


def _document(found: Mapping[str, Any]) -> Document:
    outcomes = [attempt["outcome"] for attempt in found.get("attempts", ())]
    is_open = "due_at" in found
    return Document(
        email_id=str(found["_id"]),
        state=found["state"],
        is_open=is_open,
        is_held=found["state"] == "unknown" and not is_open,
        unknown_attempts=outcomes.count("unknown"),
        possible_duplicates=len(found.get("possible_duplicates", ())),
    )
