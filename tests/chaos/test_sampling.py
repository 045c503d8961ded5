"""What a long run says of memory and descriptors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.chaos.sampling import Trend, look, members, trend_of


def test_a_trend_compares_the_first_and_the_last_quarter() -> None:
    looks = [(50.0, 10), (90.0, 10), (50.0, 10), (50.0, 11)]
    looks += [(0.0, 0)] * 8
    looks += [(60.0, 12), (60.0, 12), (99.0, 12), (60.0, 12)]

    assert trend_of(looks) == Trend(
        first_mb=50.0, last_mb=60.0, first_open=10, last_open=12
    )


def test_a_group_is_its_leader_and_all_its_children() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())

        assert sorted(members(leader.pid)) == sorted([leader.pid, child])

        os.killpg(leader.pid, signal.SIGKILL)


def test_a_process_has_memory_and_descriptors_until_it_ends() -> None:
    megabytes, before = look(os.getpid())
    with Path(os.devnull).open():
        _, after = look(os.getpid())

    assert megabytes > 1
    assert after == before + 1
    assert look(2**22 + 1) == (0.0, 0)
