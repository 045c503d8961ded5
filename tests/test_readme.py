"""The README's commands of the single processes, run as they are written there."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from postroom.adapters.heartbeats import RedisHeartbeats
from postroom.domain.hint import SWEEP_QUEUE
from tests.ports import a_port

ROOT = Path(__file__).parent.parent
HEADING = "Running the processes by hand"

#: Bound on a start or a stop, in seconds; only a hang reaches it.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where the commands run, and what can be seen of them from outside."""

    environ: Mapping[str, str]
    redis: redis.Redis

    def serves(self) -> bool:
        port = int(self.environ["PORT"])
        web = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with closing(web), suppress(OSError, http.client.HTTPException):
            web.request("GET", "/health")
            with web.getresponse() as answer:
                return answer.status == 200
        return False

    def beats(self, *parts: str) -> bool:
        ages = RedisHeartbeats(self.redis).ages() or {}
        return set(parts) <= set(ages)

    def is_told_to_sweep(self) -> bool:
        return bool(self.redis.exists(f"dramatiq:{SWEEP_QUEUE}"))


#: How to see that a command is up, by the sentence that stands before it.
IS_UP: Mapping[str, Callable[[Stand], bool]] = {
    "The API": Stand.serves,
    "A worker for all providers": lambda stand: stand.beats("worker"),
    "A worker for one provider only": lambda stand: stand.beats("worker"),
    "The router, with the sweep": lambda stand: stand.beats("router", "sweep"),
    "The clock": Stand.is_told_to_sweep,
    "Under a debugger": lambda stand: stand.beats("worker"),
    "The same for the API": Stand.serves,
}

#: The one that ends by itself.
ONCE = "Once, before the others"


def blocks() -> dict[str, str]:
    """Return the section's `sh` blocks by the first words of what stands before."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.split(f"\n## {HEADING}\n", 1)[1].split("\n## ", 1)[0]
    before, *rest = section.split("```sh\n")
    found = {}
    for part in rest:
        title = before.strip().rpartition("\n\n")[2].partition(":")[0]
        command, _, before = part.partition("```\n")
        found[title] = command
    return found


@pytest.fixture
def stand(mongo_database_uri: str, redis_url: str, redis_client: redis.Redis) -> Stand:
    bin_folder = str(Path(sys.executable).parent)
    return Stand(
        redis=redis_client,
        environ={
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "HOME": os.environ.get("HOME", "/"),
            "PORT": str(a_port()),
            "MONGODB_URI": mongo_database_uri,
            "REDIS_URL": redis_url,
        },
    )


@contextmanager
def running(
    command: str, environ: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a block of shell in a process group of its own, and end all of it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signum)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)


def test_every_command_is_tested() -> None:
    assert set(blocks()) == {ONCE, *IS_UP}


@pytest.mark.e2e
def test_the_first_command_runs_to_its_end(stand: Stand, tmp_path: Path) -> None:
    with running(blocks()[ONCE], stand.environ, tmp_path / "log") as process:
        code = process.wait(PATIENCE_S)

    assert code == 0, (tmp_path / "log").read_text(errors="replace")


@pytest.mark.e2e
@pytest.mark.parametrize("title", IS_UP)
def test_the_command_starts_its_process(
    title: str, stand: Stand, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    give_up = time.monotonic() + PATIENCE_S

    with running(blocks()[title], stand.environ, log) as process:
        while not IS_UP[title](stand):
            is_alive = process.poll() is None and time.monotonic() < give_up
            assert is_alive, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)

        assert process.poll() is None
