"""Real servers for tests: start, stop, kill and restart them on the same port.

Fixtures over them are in conftest.py (`mongodb_uri`, `redis_url`, `mongo_database`,
`redis_client`). A test that breaks a server makes its own:

    with a_redis(tmp_path) as server:
        server.kill9()
        server.start()
"""

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from postroom.cli import embedded
from tests.ports import a_port

#: Bound on a start or a stop, in seconds; only a hang reaches it.
PATIENCE_S = 60.0


class Server:
    """One server process with its own folder; the port stays over restarts."""

    def __init__(self, spec: embedded.ServerSpec) -> None:
        self.spec = spec
        self.url = spec.url
        self.port = spec.port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.spec.folder.with_suffix(".log")

    def start(self) -> Self:
        assert self._process is None, "already started"
        self.spec.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.spec.folder,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill9()
            raise
        return self

    def stop(self) -> None:
        """End it in order; kill it when that takes too long."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        # A thread that runs on another core goes on for a moment.
        give_up = time.monotonic() + PATIENCE_S
        while not self._is_frozen():
            assert time.monotonic() < give_up, "not frozen"
            time.sleep(0.005)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _is_frozen(self) -> bool:
        tasks = Path(f"/proc/{self.pid}/task").glob("*/stat")
        states = [task.read_text().rpartition(")")[2].split()[0] for task in tasks]
        return set(states) <= {"T", "t", "Z", "X"}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Its data goes too: an orderly stop would only take longer.
        self.kill9()

    def _end(self, sig: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)  # a paused one would not hear
        process.send_signal(sig)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        give_up = time.monotonic() + PATIENCE_S
        while not self.spec.answers():
            code = self._process.poll()
            if code is not None or time.monotonic() > give_up:
                tail = self.log.read_text(errors="replace")[-2000:]
                pytest.fail(f"{self.spec.name} did not start (exit {code}):\n{tail}")
            time.sleep(0.05)


def a_mongodb(folder: Path, *, test_commands: bool = False) -> Server:
    """Describe a SecantusDB on a free port with its data in `folder`/mongo."""
    return Server(
        embedded.mongodb(folder / "mongo", port=a_port(), test_commands=test_commands)
    )


def a_redis(folder: Path) -> Server:
    """Describe a Valkey on a free port with its data in `folder`/redis."""
    return Server(embedded.valkey(folder / "redis", port=a_port()))


def skip_or_fail(ex: Exception) -> None:
    """Skip here, fail in CI: a test that never runs there guards nothing."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(ex))
    pytest.skip(str(ex))


def a_database_name() -> str:
    return f"postroom_test_{uuid.uuid4().hex[:12]}"


def with_database(uri: str, name: str) -> str:
    """Return the MongoDB URI with its database replaced, and nothing else.

    The database of a URI with a password is also where the user is known, unless
    authSource says so.
    """
    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc:
        query.setdefault("authSource", parts.path.lstrip("/") or "admin")
    return parts._replace(path=f"/{name}", query=urlencode(query)).geturl()
