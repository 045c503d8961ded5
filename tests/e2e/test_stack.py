"""`postroom stack run` as a user has it: from start to Ctrl-C, on the real Procfile."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.cli import record, session
from postroom.cli.surroundings import read_env
from postroom.cli.welcome import Api
from tests.layout import ROOT
from tests.ports import a_port
from tests.servers import PATIENCE_S

#: The stop is promised within 40 s; the rest is for a loaded machine.
STOP_PATIENCE_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "Procfile", folder)
    tmp_path.joinpath("t").mkdir()
    return folder


@pytest.fixture
def stack(folder: Path) -> Iterator[subprocess.Popen[str]]:
    given = {"MONGODB_URI", "REDIS_URL"}
    environ = {name: os.environ[name] for name in os.environ.keys() - given}
    environ["PORT"] = str(a_port())  # the usual one may be another test's
    with subprocess.Popen(
        [Path(sys.executable).parent / "postroom", "stack", "run"],
        cwd=folder,
        env={**environ, "TMPDIR": str(folder.parent / "t")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        yield child
        child.terminate()


def read_until(child: subprocess.Popen[str], words: str) -> str:
    assert child.stdout is not None
    seen = ""
    for line in child.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"ended before {words!r}:\n{seen}")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        content: bytes = answer.read()
    return content.decode()


def is_open(port: int) -> bool:
    with socket.socket() as asker:
        return asker.connect_ex(("127.0.0.1", port)) == 0


def test_from_start_to_inbox_to_ctrl_c_and_nothing_stays(
    folder: Path, stack: subprocess.Popen[str]
) -> None:
    seen = read_until(stack, "Ctrl-C stops it")
    leader = int(record.read(folder / ".postroom")["session"])
    env = read_env(folder / ".postroom" / "env")
    port = int(env["PORT"])
    stores = [int(env[name].rsplit(":")[-1].split("/")[0]) for name in URLS]

    assert "sent by sandbox" in seen
    assert "Welcome to Postroom" in get(f"http://127.0.0.1:{port}/sandbox")
    assert get(f"http://127.0.0.1:{port}/docs")
    assert all(is_open(each) for each in (port, *stores))

    stack.send_signal(signal.SIGINT)
    assert stack.wait(STOP_PATIENCE_S) == 0

    assert session.members(leader) == []
    assert not any(is_open(each) for each in (port, *stores))
    assert list((folder.parent / "t").iterdir()) == []
    assert (folder / ".postroom" / "store").is_dir()


URLS = ("MONGODB_URI", "REDIS_URL")


def test_a_killed_worker_comes_back_and_mail_goes_on(
    folder: Path, stack: subprocess.Popen[str]
) -> None:
    read_until(stack, "Ctrl-C stops it")
    leader = int(record.read(folder / ".postroom")["session"])
    before = workers(leader)
    assert before

    for pid in before:
        with contextlib.suppress(ProcessLookupError):  # one took another with it
            os.kill(pid, signal.SIGKILL)

    give_up = time.monotonic() + PATIENCE_S
    assert state_of_a_new_email(folder, give_up) == "sent"
    assert workers(leader) - before


def state_of_a_new_email(folder: Path, give_up: float) -> str:
    """Send one and wait for its end; the sweep may have to offer it."""
    api = Api(f"http://127.0.0.1:{read_env(folder / '.postroom' / 'env')['PORT']}")
    _, accepted = api.post(
        "/api/emails",
        {"from": "a@example.com", "to": "b@example.com", "subject": "s", "text": "t"},
    )
    state = "queued"
    while state != "sent" and time.monotonic() < give_up:
        time.sleep(0.1)
        _, email = api.get(f"/api/emails/{accepted['id']}")
        state = str(email.get("state"))
    api.close()
    return state


def workers(leader: int) -> set[int]:
    return {
        pid
        for pid in session.members(leader)
        if "postroom.actors.worker:send" in (session.command_line(pid) or "")
    }
