"""A stop that signals every process of the group, and more than once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from postroom.actors.broker import build_broker
from postroom.actors.graceful_stop import GracefulStop
from tests.actors import holding

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
THREADS = 8


class Workers:
    """The dramatiq command as the leader of a process group of its own."""

    def __init__(self, redis_url: str, notes: Path) -> None:
        self._notes = notes
        command = ["-m", "dramatiq", "tests.actors.holding:setup"]
        options = ["--processes", "1", "--threads", str(THREADS)]
        self._process = subprocess.Popen(
            [sys.executable, *command, *options, "--worker-shutdown-timeout", "25000"],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": redis_url, "NOTES": str(notes)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def signal_all(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def noted(self, what: str) -> list[str]:
        lines = self._notes.read_text().split("\n") if self._notes.exists() else []
        return sorted(line.split()[1] for line in lines if line.startswith(what))

    def wait_for(self, count: int) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while len(self.noted("begun")) < count:
            assert time.monotonic() < give_up
            time.sleep(0.02)


@pytest.fixture
def workers(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> Iterator[Workers]:
    hold = holding.declare(build_broker(redis_client))
    for no in range(THREADS):
        hold.send(no)
    running = Workers(redis_url, tmp_path / "notes")
    yield running
    running.kill()


@pytest.mark.slow
def test_what_is_in_hand_is_finished_when_all_are_signalled_twice(
    workers: Workers,
) -> None:
    """The master passes each signal on: a worker hears of one stop four times."""
    workers.wait_for(THREADS)

    workers.signal_all()
    time.sleep(0.2)
    workers.signal_all()

    workers.wait()
    assert workers.noted("ended") == workers.noted("begun")
    assert len(workers.noted("ended")) == THREADS


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Note each SIGHUP that gets through to the handler that was there before."""
    got: list[int] = []
    saved = {s: signal.getsignal(s) for s in (signal.SIGHUP, signal.SIGTERM)}
    for signum in saved:
        signal.signal(signum, lambda number, _: got.append(number))
    yield got
    for signum, handler in saved.items():
        signal.signal(signum, handler)


def test_a_repeated_signal_is_one_stop(heard: list[int]) -> None:
    GracefulStop().after_process_boot(None)  # type: ignore[arg-type]

    for _ in range(3):
        signal.raise_signal(signal.SIGHUP)

    assert heard == [signal.SIGHUP]


def test_one_of_the_other_kind_is_the_same_stop(heard: list[int]) -> None:
    GracefulStop().after_process_boot(None)  # type: ignore[arg-type]

    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        signal.raise_signal(signum)

    assert heard == [signal.SIGTERM]


def test_a_signal_that_nobody_handles_is_left_alone(heard: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    GracefulStop().after_process_boot(None)  # type: ignore[arg-type]

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
