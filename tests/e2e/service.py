"""The Procfile's processes on real servers, for tests that break them.

Each line of the Procfile runs as it stands there, in a process group of its own, so
that a test can kill one of them, or a server under them, and start it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

import redis as redis_py
from bson import ObjectId
from pymongo import MongoClient

from postroom.adapters.mongo_store import MongoStore, connect, database_of
from postroom.cli import procfile
from tests.fake_provider import AsProcess
from tests.ports import a_port
from tests.servers import Server, a_mongodb, a_redis

ROOT = Path(__file__).parents[2]

#: Bound on any wait of a test, in seconds; only a fault reaches it.
PATIENCE_S = 60.0

#: Everything short, so that the protocol's waits pass within a test.
FAST = {
    "POSTROOM_LEASE_S": "4",
    "POSTROOM_PROVIDER_TIMEOUT_S": "1",
    "POSTROOM_UNKNOWN_GRACE_S": "1",
    "POSTROOM_SWEEP_GRACE_S": "1",
    "POSTROOM_SWEEP_EVERY_S": "1",
    "POSTROOM_RETRY_FIRST_S": "0.5",
    "POSTROOM_RETRY_MAX_S": "4",
    "POSTROOM_BREAKER_RESET_S": "1",
    "POSTROOM_BREAKER_WINDOW_S": "10",
    "POSTROOM_PROVIDERS": "sendgrid,mailgun",
    "SENDGRID_API_KEY": "SG.test",
    "MAILGUN_API_KEY": "key-test",
    "MAILGUN_DOMAIN": "mg.example.org",
    "POSTROOM_DEFAULT_FROM": "Postroom <post@example.org>",
    "WEB_CONCURRENCY": "1",
    "WORKER_THREADS": "16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the API."""

    status: int
    body: Any
    headers: Mapping[str, str]
    seconds: float


class Service:
    """Servers, fake provider and processes, with the verbs that tests need."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.mongodb: Server = a_mongodb(folder)
        self.redis: Server = a_redis(folder)
        self.fake = AsProcess(folder)
        self.port = a_port()
        self.settings = settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_all(self) -> None:
        with ThreadPoolExecutor() as pool:
            parts = (self.mongodb, self.redis, self.fake)
            for started in [pool.submit(part.start) for part in parts]:
                started.result()
        self.prepare()
        for name in self.lines:
            if name != "release":
                self.start(name)
        self.wait_until_ready()

    def __exit__(self, *_: object) -> None:
        # Nothing here is worth the seconds that an orderly stop takes.
        for name in self.processes:
            self.kill9(name)
        self.fake.stop()
        self.redis.kill9()
        self.mongodb.kill9()

    @property
    def lines(self) -> dict[str, str]:
        return procfile.read(ROOT / "Procfile")

    @property
    def environ(self) -> dict[str, str]:
        bin_folder = str(Path(sys.executable).parent)
        return {
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),  # what a kill leaves goes with it
            "PORT": str(self.port),
            "MONGODB_URI": self.mongodb.url,
            "REDIS_URL": self.redis.url,
            "SENDGRID_API_URL": self.fake.url,
            "MAILGUN_API_URL": self.fake.url,
            **FAST,
            **self.settings,
        }

    # Processes

    def prepare(self) -> None:
        """Do what the release line does here, but for its process: that takes longer.

        The line itself runs in test_stack.py.
        """
        with connect(self.mongodb.url) as client:
            MongoStore(database_of(client)).ensure_indexes()

    def start(self, name: str, **environ: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {self.lines[name]}"],
                cwd=ROOT,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, name: str, signum: signal.Signals) -> None:
        """Signal a line's whole process group, as many hosts do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signum)

    def kill9(self, name: str) -> None:
        """End a line and all its children as a crash would."""
        self.signal(name, signal.SIGKILL)
        self.processes[name].wait(PATIENCE_S)

    @property
    def running(self) -> list[str]:
        return list(self.processes)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # HTTP

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 30,
    ) -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, **(headers or {})},
        )
        began = time.monotonic()
        try:
            answer = urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as ex:
            answer = ex
        with answer:
            try:
                text = answer.read()
            except HTTPException as ex:
                raise ConnectionError("the answer broke off") from ex
            return Answer(
                status=answer.status,
                body=json.loads(text) if text[:1] in (b"{", b"[") else text,
                headers={k.lower(): v for k, v in answer.headers.items()},
                seconds=time.monotonic() - began,
            )

    @property
    def _headers(self) -> dict[str, str]:
        key = self.environ.get("POSTROOM_API_KEY")
        locked = {"Authorization": f"Bearer {key}"} if key else {}
        return {"Content-Type": "application/json", **locked}

    def post(self, **fields: Any) -> Answer:
        """POST an email with something of everything that is required."""
        body = {
            "to": ["a@example.com"],
            "subject": "Hi",
            "text": "Hello",
            **fields,
        }
        return self.request("POST", "/api/emails", body)

    def accept(self, **fields: Any) -> str:
        """POST an email, insist on a 201, and return its id."""
        answer = self.post(**fields)
        assert answer.status == 201, answer
        email_id: str = answer.body["id"]
        return email_id

    def email(self, email_id: str) -> dict[str, Any]:
        answer = self.request("GET", f"/api/emails/{email_id}")
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body
        return found

    # Waiting

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                answer = self.request("GET", "/ready")
            except OSError:
                return False
            return answer.status == 200 and answer.body["degraded"] == []

        self.wait_until(is_ready, "ready")

    def wait_for_state(
        self,
        email_ids: str | Iterable[str],
        state: str,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        wanted = [email_ids] if isinstance(email_ids, str) else list(email_ids)

        def all_are() -> bool:
            while wanted:
                if self.email(wanted[0])["state"] != state:
                    return False
                wanted.pop(0)
            return True

        self.wait_until(
            all_are,
            lambda: f"{state}: {json.dumps(self.email(wanted[0]), indent=1)}",
            patience_s=patience_s,
        )

    def wait_until(
        self,
        is_so: Callable[[], bool],
        what: str | Callable[[], str],
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        give_up = time.monotonic() + patience_s
        while not is_so():
            if time.monotonic() > give_up:
                told = what if isinstance(what, str) else what()
                tails = "\n".join(
                    f"--- {name}\n{self.log(name)[-1500:]}" for name in self.running
                )
                raise AssertionError(f"waited in vain for {told}\n{tails}")
            time.sleep(0.1)

    # Servers

    def flush_redis(self) -> None:
        with redis_py.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def remove(self, email_id: str) -> None:
        """Remove an email behind the service's back."""
        with MongoClient[dict[str, Any]](self.mongodb.url) as client:
            emails = client.get_default_database("postroom")["emails"]
            assert emails.delete_one({"_id": ObjectId(email_id)}).deleted_count == 1

    def documents(self) -> list[dict[str, Any]]:
        with MongoClient[dict[str, Any]](self.mongodb.url) as client:
            return list(client.get_default_database("postroom")["emails"].find())
