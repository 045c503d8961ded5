"""The stack with its real stores and supervisor, and a stub for the service."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroom.cli import procfile, record, session, stack
from postroom.cli.embedded import HOST, redis_answers
from postroom.cli.errors import StackError
from postroom.cli.stack import Stack
from postroom.cli.surroundings import read_env
from tests.ports import a_port
from tests.servers import PATIENCE_S

pytestmark = pytest.mark.slow

STUB = Path(__file__).with_name("stub_service.py")
LINES = f"""\
release: echo released >> released
web: {shlex.quote(sys.executable)} {shlex.quote(str(STUB))}
worker: sh -c 'echo "here, 100% ; # all" && touch worker-was-here && exec sleep 1000'
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project folder, and a folder for temporary files next to it."""
    project = tmp_path / "project"
    project.mkdir()
    project.joinpath("Procfile").write_text(LINES)
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    # The usual one may be another test's.
    monkeypatch.setenv("PORT", str(a_port()))
    return project


def until(check: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


class Run:
    """The stack in a thread of its own."""

    def __init__(self, project: Path, **options: bool) -> None:
        self.project = project
        self.stack = Stack(project, dict(os.environ), **options)
        self.error: BaseException | None = None
        self.seen = ""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.stack.run(procfile.read(self.project / "Procfile"))
        except BaseException as ex:  # noqa: BLE001  the test shows it
            self.error = ex

    @property
    def session(self) -> int:
        return int(record.read(self.project / ".postroom")["session"])

    def end(self) -> None:
        self.stack.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the stack does not stop"

    def join(self) -> None:
        self._thread.join(PATIENCE_S)


@contextmanager
def running(
    project: Path, capsys: pytest.CaptureFixture[str], **options: bool
) -> Iterator[Run]:
    run = Run(project, **options)

    def is_up() -> bool:
        run.seen += capsys.readouterr().out
        return "Ctrl-C stops it" in run.seen or run.error is not None

    try:
        until(is_up, "not up")
        assert run.error is None, run.error
        yield run
    finally:
        run.end()


def listens(port: str) -> bool:
    with socket.socket() as asker:
        return asker.connect_ex((HOST, int(port))) == 0


def test_a_run_shows_the_way_of_an_email_and_leaves_data_only(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(project, capsys) as run:
        seen = run.seen
        leader = run.session
        env = read_env(project / ".postroom" / "env")
        assert listens(env["PORT"])
        assert redis_answers(env["REDIS_URL"])

    steps = [
        "released",
        "ready after",
        "accepted as",
        "routed to",
        "claimed",
        "sent by",
    ]
    assert [seen.find(step) > 0 for step in steps] == [True] * len(steps)
    assert f"http://{HOST}:{env['PORT']}/sandbox" in seen
    assert project.joinpath("released").read_text() == "released\n"
    assert session.members(leader) == []
    assert not listens(env["PORT"])
    assert not redis_answers(env["REDIS_URL"])
    assert list((project.parent / "t").iterdir()) == []
    left = {path.name for path in project.joinpath(".postroom").iterdir()}
    assert left == {"env", "lock", "log", "redis", "store"}


def test_what_dies_is_started_again_and_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(project, capsys) as run:
        killed = worker_of(run)
        os.kill(killed, signal.SIGKILL)

        until(lambda: worker_of(run) not in {0, killed}, "no new worker")
        said = ""

        def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return "worker ended and w" in said

        until(is_said, said)
        assert "here, 100% ; # all" in said


def worker_of(run: Run) -> int:
    for pid in session.members(run.session):
        if "sleep 1000" in (session.command_line(pid) or ""):
            return pid
    return 0


def test_followed_logs_are_shown_with_the_name_of_their_process(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(project, capsys, follow=True) as run:
        seen = run.seen

    assert "worker     | here, 100% ; # all" in seen


def test_a_failing_release_stops_the_start_with_its_words(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = LINES.replace("echo released >> released", "echo no such index; exit 3")
    project.joinpath("Procfile").write_text(lines)

    run = Run(project)
    run.join()

    assert isinstance(run.error, StackError)
    assert "ended with 3" in str(run.error)
    assert "no such index" in capsys.readouterr().err
    assert list((project.parent / "t").iterdir()) == []


def test_what_is_missing_is_named_with_the_logs(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "READY_PATIENCE_S", 3.0)
    lines = LINES.replace("&& touch worker-was-here", "&& exit 9")
    project.joinpath("Procfile").write_text(lines)

    run = Run(project)
    run.join()

    assert isinstance(run.error, StackError)
    assert "missing: worker" in str(run.error)
    said = capsys.readouterr().err
    assert "worker ended and will start again" in said
    assert "here, 100% ; # all" in said


def test_a_supervisor_that_dies_takes_all_with_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(project, capsys) as run:
        leader = run.session
        os.kill(leader, signal.SIGKILL)
        run.join()

        assert isinstance(run.error, StackError)
        assert session.members(leader) == []


def test_no_welcome_email_without_a_sandbox(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.joinpath(".env").write_text("POSTROOM_PROVIDERS=sendgrid\n")

    with running(project, capsys) as run:
        seen = run.seen

    assert "no welcome email" in seen


@contextmanager
def commanded(project: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a user does."""
    environ = {**os.environ, "TMPDIR": str(project.parent / "t")}
    with subprocess.Popen(
        [sys.executable, "-m", "postroom.cli.main", "stack", "run"],
        cwd=project,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.terminate()


def read_until(child: subprocess.Popen[str], words: str) -> str:
    assert child.stdout is not None
    seen = ""
    for line in child.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"ended before {words!r}:\n{seen}")


def test_a_second_run_in_the_same_folder_says_where_the_first_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(project, capsys):
        with commanded(project) as second:
            said = read_until(second, "already")
            second.wait(PATIENCE_S)
        env = read_env(project / ".postroom" / "env")

    assert second.returncode == 1
    assert f"already at http://{HOST}:{env['PORT']} (pid {os.getpid()})" in said


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_is_no_failure(
    project: Path, sig: signal.Signals
) -> None:
    with commanded(project) as child:
        read_until(child, "Ctrl-C stops it")
        leader = int(record.read(project / ".postroom")["session"])

        child.send_signal(sig)
        child.send_signal(sig)  # a shell and make may both pass it on

        assert child.wait(PATIENCE_S) == 0
        assert session.members(leader) == []
        assert list((project.parent / "t").iterdir()) == []


def test_a_run_after_a_killed_one_ends_what_it_left_and_starts(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with commanded(project) as child:
        read_until(child, "Ctrl-C stops it")
        child.kill()
    orphaned = int(record.read(project / ".postroom")["session"])
    assert session.members(orphaned)

    with running(project, capsys):
        assert session.members(orphaned) == []

    assert list((project.parent / "t").iterdir()) == []


def test_a_long_folder_for_temporary_files_leaves_room_for_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    chosen = stack.temporary_folder()
    chosen.rmdir()

    assert len(str(chosen)) < 100
    assert list(long.iterdir()) == []
