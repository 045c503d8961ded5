"""`postroom stack run` without its Redis for a while: accepted all the same.

The supervisor of the stack would start a Redis of its own again at once; so that it
stays away this one is given, in `REDIS_URL`, and the test's own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.cli import record, session
from tests.e2e.load import Load, sends
from tests.e2e.scale import scaled
from tests.e2e.service import PATIENCE_S, ROOT, Service

#: How long Redis is away, in seconds.
AWAY_S = scaled(suite=6.0, full=90.0)

#: Waits of the clients between two POSTs, in seconds.
PAUSE_S = scaled(suite=0.1, full=0.5)


class Stack(Service):
    """The whole service under its supervisor, but for Redis and the providers."""

    def _start_all(self) -> None:
        shutil.copy(ROOT / "Procfile", self.folder)
        self.redis.start()
        self.fake.start()
        environ = {k: v for k, v in self.environ.items() if k != "MONGODB_URI"}
        with (self.folder / "stack.log").open("ab") as log:
            self.processes["stack"] = subprocess.Popen(
                [Path(sys.executable).parent / "postroom", "stack", "run"],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready()

    def __exit__(self, *_: object) -> None:
        for stack in self.processes.values():
            stack.send_signal(signal.SIGINT)
            try:
                stack.wait(PATIENCE_S)
            finally:
                stack.kill()
        self.fake.stop()
        self.redis.kill9()

    def mains(self) -> dict[str, int]:
        """Return the pid of each line's first process, by what it runs."""
        marks = {
            "web": "postroom.http.server",
            "worker": "postroom.actors.worker:send",
            "router": "postroom.actors.worker:router",
            "scheduler": "postroom.actors.worker:schedule",
        }
        leader = int(record.read(self.folder / ".postroom")["session"])
        commands = {pid: session.command_line(pid) for pid in session.members(leader)}
        return {
            name: min(pid for pid, words in commands.items() if mark in (words or ""))
            for name, mark in marks.items()
            if any(mark in (words or "") for words in commands.values())
        }


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as running:
        yield running


def test_posts_are_accepted_throughout_and_all_is_back_and_sent_afterwards(
    stack: Stack,
) -> None:
    before = stack.mains()
    with Load(stack, clients=2, pause_s=PAUSE_S) as load:
        load.wait_for(5)
        stack.redis.kill9()
        time.sleep(AWAY_S)
        during = stack.request("GET", "/ready").body["degraded"]
        stack.redis.start()
        back = time.monotonic()
        load.wait_for(5)

    assert set(load.answers) == {201}
    assert "redis" in during
    stack.wait_until_ready()
    stack.wait_for_state(load.accepted, "sent")
    drained_s = time.monotonic() - back
    after = stack.mains()
    assert set(after) == set(before) == {"web", "worker", "router", "scheduler"}
    counts = sends(stack.fake)
    assert {email_id: counts[email_id] for email_id in load.accepted} == (
        dict.fromkeys(load.accepted, 1)
    )
    restarted = sorted(name for name in before if before[name] != after[name])
    print(
        f"\nRedis away for {AWAY_S:.0f} s: {len(load.accepted)} of "
        f"{sum(load.answers.values())} answered 201, the slowest in "
        f"{load.slowest_s:.2f} s; all sent {drained_s:.1f} s after it was back; "
        f"started anew by the supervisor: {restarted or 'none'}"
    )
