"""The Procfile's processes as they are shipped, on one of two stores."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Self

import redis

from benchmarks import processes
from benchmarks.provider import Remote
from postroom.adapters.mint import SystemMint
from postroom.adapters.mongo_store import MongoStore, connect, database_of
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import Parts, build
from postroom.cli import embedded, procfile
from postroom.services.keys import CreateKey, KeyOrder
from tests.ports import a_port
from tests.servers import Server

ROOT = Path(__file__).parents[1]

#: Bound on any wait, in seconds; only a fault reaches it.
PATIENCE_S = 90.0

#: All that is not as shipped: production, and one provider, which is on this machine.
SETTINGS = {
    "POSTROOM_ENV": "production",
    "POSTROOM_PROVIDERS": "sendgrid",
    "SENDGRID_API_KEY": "SG.bench",
    "POSTROOM_DEFAULT_FROM": "Bench <post@example.org>",
}

#: Before everything that was ever due.
_EVER = datetime(2000, 1, 1, tzinfo=UTC)

#: What each line of the Procfile needs to be of use.
ALL_LINES = ("web", "worker", "router", "scheduler")

#: An email of a usual size.
EMAIL: Mapping[str, Any] = {
    "from": "Acme <post@example.org>",
    "to": ["ada@example.com"],
    "subject": "Your receipt",
    "html": "<p>Thank you for your order.</p>" * 20,
    "text": "Thank you for your order.\n" * 20,
    "tags": [{"name": "kind", "value": "receipt"}],
}


class Store(StrEnum):
    """What stands for MongoDB."""

    INSTANT = "instant"
    EMBEDDED = "embedded"


class Stack:
    """Servers, provider and processes; `with` starts the servers."""

    def __init__(self, folder: Path, store: Store, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.store = store
        self.port = a_port()
        self.bare_port = a_port()
        self.secret = ""
        self._settings = settings
        self._mongodb = store_server(folder, store)
        self._redis = Server(embedded.valkey(folder / "redis", port=a_port()))
        provider_port = a_port()
        self.provider = Remote(provider_port)
        self._provider = Server(_provider(folder, provider_port, self.provider))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor() as pool:
                for done in [pool.submit(each.start) for each in self._servers]:
                    done.result()
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.kill(name)
        for server in self._servers:
            server.kill9()

    @property
    def _servers(self) -> tuple[Server, ...]:
        return self._mongodb, self._redis, self._provider

    @property
    def mongodb_url(self) -> str:
        """Where the store is."""
        return self._mongodb.url

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return self._redis.url

    @property
    def environ(self) -> dict[str, str]:
        """The environment of every process."""
        bin_folder = str(Path(sys.executable).parent)
        return {
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PORT": str(self.port),
            "MONGODB_URI": self.mongodb_url,
            "REDIS_URL": self.redis_url,
            "SENDGRID_API_URL": self.provider.url,
            **SETTINGS,
            **self._settings,
        }

    def _prepare(self) -> None:
        with connect(self.mongodb_url) as client:
            MongoStore(database_of(client)).ensure_indexes()
        with self.parts() as parts:
            create = CreateKey(ring=parts.keys, clock=parts.clock, mint=SystemMint())
            _, self.secret = create(KeyOrder(name="bench", scopes=("send", "read")))

    @contextmanager
    def parts(self) -> Iterator[Parts]:
        """Give the product's parts over these servers, in this process."""
        with contextlib.closing(build(Settings.from_env(self.environ))) as parts:
            yield parts

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        """Give a client of Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            yield client

    # Processes

    def start(self, *names: str, **environ: str) -> None:
        """Start lines of the Procfile; `wait_until_ready` waits for them."""
        lines = procfile.read(ROOT / "Procfile")
        for name in names:
            self.run(name, lines[name], **environ)

    def start_bare(self) -> None:
        """Start the bare stack as the Procfile starts the product."""
        line = replaced(
            "web", "postroom.http.wsgi:create()", "benchmarks.bare:create()"
        )
        self.run("bare", line, PORT=str(self.bare_port))

    def run(self, name: str, line: str, **environ: str) -> None:
        """Start a process that is called so."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {line}"],
                cwd=ROOT,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, signum: signal.Signals, *names: str) -> None:
        """Signal all processes of some lines."""
        for name in names:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running[name].pid, signum)

    def kill(self, *names: str) -> None:
        """End lines at once: nothing here is worth an orderly stop."""
        self.signal(signal.SIGKILL, *names)
        for name in names:
            self._running.pop(name).wait(PATIENCE_S)

    @property
    def pids(self) -> dict[str, int]:
        """The first process of everything that runs, by name."""
        lines = {name: process.pid for name, process in self._running.items()}
        servers = {"store": self._mongodb.pid, "redis": self._redis.pid}
        return {**lines, **servers, "provider": self._provider.pid}

    def cpus_s(self) -> dict[str, float]:
        """Return the CPU time of each so far, in seconds."""
        return processes.cpus_s(self.pids)

    def idle(self, seconds: float) -> dict[str, float]:
        """Watch everything while nothing happens; return the cores that each uses."""
        before, began = self.cpus_s(), time.monotonic()
        time.sleep(seconds)
        after, took = self.cpus_s(), time.monotonic() - began
        return {name: (after[name] - before[name]) / took for name in before}

    # HTTP

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends with each request."""
        return {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/json",
        }

    def request(self, path: str, body: object = None, *, port: int = 0) -> Any:
        """Send one request on a connection of its own; return the answer's JSON.

        Raises:
            RuntimeError: The answer was no success.
        """
        line = http.client.HTTPConnection(
            "127.0.0.1", port or self.port, timeout=PATIENCE_S
        )
        with contextlib.closing(line):
            data = None if body is None else json.dumps(body)
            line.request("GET" if data is None else "POST", path, data, self.headers)
            answer = line.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {answer.status} {text[:500]!r}")
            return json.loads(text) if text else None

    def backlog(self, count: int) -> None:
        """Have so many emails accepted, a hundred at a time, with normal priority."""
        for start in range(0, count, 100):
            size = min(100, count - start)
            self.request("/api/emails/batch", [{**EMAIL, "priority": "normal"}] * size)

    # Waiting

    def wait_until_ready(self) -> None:
        """Wait for web, and for all workers if they were started."""
        workers = {"worker", "router"} & set(self._running)

        def is_ready() -> bool:
            try:
                found = self.request("/ready")
            except (OSError, RuntimeError, http.client.HTTPException):
                return False
            return not workers or not found["degraded"]

        self.wait_until(is_ready, "ready")

    def wait_for_port(self, port: int) -> None:
        """Wait until somebody listens."""

        def listens() -> bool:
            try:
                with contextlib.closing(
                    http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                ) as line:
                    line.connect()
            except OSError:
                return False
            return True

        self.wait_until(listens, f"port {port}")

    def wait_until(
        self, is_so: Callable[[], bool], what: str, *, every_s: float = 0.1
    ) -> None:
        """Wait for a condition.

        Raises:
            RuntimeError: In vain; with the ends of all logs.
        """
        give_up = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > give_up:
                logs = (f"--- {log}\n{_tail(log)}" for log in self.folder.glob("*.log"))
                raise RuntimeError("\n".join((f"waited in vain for {what}", *logs)))
            time.sleep(every_s)

    def wait_until_settled(self) -> None:
        """Wait until no email is open."""
        with connect(self.mongodb_url) as mongodb:
            emails = database_of(mongodb)["emails"]
            self.wait_until(
                lambda: emails.find_one({"due_at": {"$gt": _EVER}}) is None,
                "nothing to be open",
            )

    def wait_for_taken(self, count: int) -> list[tuple[str, float]]:
        """Wait until the provider has so many, and return them."""
        taken: list[tuple[str, float]] = []

        def has_all() -> bool:
            taken[:] = self.provider.taken()
            return len(taken) >= count

        # Asking costs the provider time that it has not much of.
        self.wait_until(has_all, f"{count} emails at the provider", every_s=0.25)
        return taken


def replaced(name: str, what: str, by: str) -> str:
    """Return a line of the Procfile with another application in the same settings.

    Raises:
        LookupError: The line does not say what is to be replaced.
    """
    line = procfile.read(ROOT / "Procfile")[name]
    if what not in line:
        raise LookupError(f"{name} of the Procfile does not start {what}")
    return line.replace(what, by)


def per_email_ms(
    before: Mapping[str, float], after: Mapping[str, float], count: int
) -> dict[str, float]:
    """Return what one of so many cost each process, in ms of CPU."""
    return {
        name: (after[name] - before[name]) * 1000 / count
        for name in after
        if name in before
    }


def store_server(folder: Path, store: Store) -> Server:
    """Describe a store on a free port."""
    port = a_port()
    if store is Store.EMBEDDED:
        return Server(embedded.mongodb(folder / "mongo", port=port))
    url = f"mongodb://{embedded.HOST}:{port}/postroom"
    return Server(
        embedded.ServerSpec(
            name="instant store",
            port=port,
            folder=folder / "instant",
            command=_module("instant_store", port),
            url=url,
            answers=partial(embedded.mongodb_answers, url),
        )
    )


def _provider(folder: Path, port: int, remote: Remote) -> embedded.ServerSpec:
    return embedded.ServerSpec(
        name="provider",
        port=port,
        folder=folder / "provider",
        command=_module("provider", port),
        url=remote.url,
        answers=remote.is_there,
    )


def _module(name: str, port: int) -> tuple[str, ...]:
    """Return a command that works in any folder."""
    python = ("env", f"PYTHONPATH={ROOT}", sys.executable)
    return (*python, "-m", f"benchmarks.{name}", str(port))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]
