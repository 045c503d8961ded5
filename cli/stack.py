"""`postroom stack run`: the whole service on one machine, from wheels.

The stores start first, then the `release` line of the Procfile runs to its end, then
its other lines start as they stand there. When `/ready` misses nothing, one email goes
its way. Ctrl-C stops all; the data stays.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import typer

from . import record, welcome
from .embedded import HOST
from .errors import StackError
from .logs import Follower, last_lines
from .procfile import RELEASE
from .supervision import Program, Supervisor, store_command
from .surroundings import Surroundings, survey, write_env
from .watch import Watch

#: Data, logs and addresses of the stack, in the folder where it is started.
FOLDER = ".postroom"

#: How long the stores, the release line, and all together may take, in seconds.
STORES_PATIENCE_S = 60.0
RELEASE_PATIENCE_S = 120.0
READY_PATIENCE_S = 90.0

_PAUSE_S = 0.1
_WATCH_S = 0.5
_SHOWN_LINES = 12

#: A socket's path may have some 100 bytes; folders under a long TMPDIR have more.
_MAX_TEMPORARY = 80


class _StopAskedError(Exception):
    """Ctrl-C or SIGTERM came: end in order, which is no failure."""


class Stack:
    """One run of the stack in one project folder."""

    def __init__(
        self, project: Path, environ: Mapping[str, str], *, follow: bool = False
    ) -> None:
        """Say where and with what; nothing happens yet.

        Args:
            project: Where `.env` is read and `.postroom/` is made.
            environ: Our own environment.
            follow: Show what the processes log.
        """
        self._project = project
        self._folder = project / FOLDER
        self._environ = environ
        self._follow = follow
        self._follower: Follower | None = None
        self._stop_asked = threading.Event()

    def run(self, commands: Mapping[str, str]) -> None:
        """Start everything and stay until ``stop``; then stop everything.

        Args:
            commands: The Procfile's lines by name.

        Raises:
            StackError: It runs here already, or a part did not come up.
        """
        if find_spec("supervisor") is None or find_spec("dotenv") is None:
            raise StackError("run pip install 'postroom[embedded]' first")
        self._log_folder.mkdir(parents=True, exist_ok=True)
        if self._follow:
            self._follower = Follower(self._log_folder)
        with ExitStack() as cleanup:
            cleanup.enter_context(record.only_one(self._folder))
            with suppress(_StopAskedError):
                self._run(commands, cleanup)

    def stop(self) -> None:
        """Make ``run`` stop everything and return, from another thread or a signal."""
        self._stop_asked.set()

    @property
    def _log_folder(self) -> Path:
        return self._folder / "log"

    def _run(self, commands: Mapping[str, str], cleanup: ExitStack) -> None:
        started = time.monotonic()
        found = survey(self._environ, project=self._project, folder=self._folder)
        write_env(self._folder / "env", found.kept())
        supervisor = self._supervise(commands, found, cleanup)
        self._start_stores(supervisor, found)
        self._release(commands, found)
        for name in commands:
            if name != RELEASE:
                supervisor.start(name)
                typer.echo(f"  {name:<10} {commands[name]}")
        api = welcome.Api(_url(found), api_key=found.environ.get("POSTROOM_API_KEY"))
        cleanup.callback(api.close)
        watch = Watch(supervisor)
        self._await_ready(api, supervisor, watch)
        typer.echo(f"ready after {time.monotonic() - started:.1f} s")
        self._welcome(api, found)
        _tell_addresses(found)
        while True:
            self._look(supervisor, watch)
            self._pause(_WATCH_S)

    def _supervise(
        self, commands: Mapping[str, str], found: Surroundings, cleanup: ExitStack
    ) -> Supervisor:
        typer.echo(f"Postroom starts; data, logs and addresses are in {FOLDER}/")
        temporary = temporary_folder()
        cleanup.callback(shutil.rmtree, temporary, ignore_errors=True)
        supervisor = Supervisor(temporary, log_folder=self._log_folder)
        cleanup.callback(self._bring_down, supervisor)
        supervisor.launch(_programs(commands, found), found.environ, cwd=self._project)
        facts = {"session": supervisor.pid, "temporary": str(temporary)}
        record.write(self._folder, {**facts, "pid": os.getpid(), "url": _url(found)})
        self._wait(supervisor, supervisor.answers, what="supervisord")
        return supervisor

    def _start_stores(self, supervisor: Supervisor, found: Surroundings) -> None:
        for spec in found.stores:
            supervisor.start(spec.name, is_store=True)
        for spec in found.stores:
            self._wait(supervisor, spec.answers, what=spec.name)
            typer.echo(f"  {spec.name:<10} {spec.url}")

    def _wait(
        self, supervisor: Supervisor, check: Callable[[], bool], *, what: str
    ) -> None:
        give_up = time.monotonic() + STORES_PATIENCE_S
        while not check():
            if not supervisor.is_alive() or time.monotonic() > give_up:
                self._show_log(what)
                raise StackError(f"{what} did not start")
            self._pause(_PAUSE_S)

    def _release(self, commands: Mapping[str, str], found: Surroundings) -> None:
        command = commands.get(RELEASE)
        if command is None:
            return
        typer.echo(f"  {RELEASE:<10} {command}")
        give_up = time.monotonic() + RELEASE_PATIENCE_S
        with (self._log_folder / f"{RELEASE}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  the Procfile's line, as on a host
                ["/bin/sh", "-c", command],
                cwd=self._project,
                env=dict(found.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            while child.poll() is None and time.monotonic() < give_up:
                self._pause(_PAUSE_S)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if child.returncode != 0:
            self._show_log(RELEASE)
            raise StackError(f"{command} ended with {child.returncode}")

    def _await_ready(
        self, api: welcome.Api, supervisor: Supervisor, watch: Watch
    ) -> None:
        give_up = time.monotonic() + READY_PATIENCE_S
        while missing := welcome.missing_parts(api):
            if time.monotonic() > give_up:
                for name in supervisor.states():
                    self._show_log(name)
                raise StackError(f"not ready, missing: {', '.join(missing)}")
            self._look(supervisor, watch)
            self._pause(_PAUSE_S)

    def _welcome(self, api: welcome.Api, found: Surroundings) -> None:
        providers = found.environ.get("POSTROOM_PROVIDERS") or "sandbox"
        sandbox = welcome.sandbox_of(providers)
        if sandbox is None:
            typer.echo("no welcome email: there is no sandbox in POSTROOM_PROVIDERS")
            return
        typer.echo("welcome email:")
        started = time.monotonic()
        for step in welcome.send(api, provider=sandbox, pause=self._pause):
            typer.echo(f"  {(time.monotonic() - started) * 1000:5.0f} ms  {step}")

    def _look(self, supervisor: Supervisor, watch: Watch) -> None:
        if not supervisor.is_alive():
            self._show_log("supervisord")
            raise StackError("supervisord ended; all is stopped")
        for change in watch.changes():
            typer.echo(change.text, err=True)
            self._show_log(change.name)

    def _pause(self, seconds: float) -> None:
        stop = self._stop_asked.wait(seconds)
        if self._follower:
            for name, line in self._follower.new_lines():
                typer.echo(f"{name:<10} | {line}")
        if stop:
            raise _StopAskedError

    def _show_log(self, name: str) -> None:
        if self._follower:
            return
        log = self._log_folder / f"{name}.log"
        if lines := last_lines(log, _SHOWN_LINES):
            typer.echo(f"--- the last lines of {FOLDER}/log/{log.name}", err=True)
            typer.echo("\n".join(lines), err=True)

    def _bring_down(self, supervisor: Supervisor) -> None:
        # The terminal may be gone by now, or the pipe of `make run | head`: that must
        # not leave everything running.
        with suppress(OSError):
            typer.echo("stopping ...")
        supervisor.stop()
        record.remove(self._folder)
        with suppress(OSError):
            typer.echo(f"stopped; the data stays in {FOLDER}/")


@contextmanager
def stopped_by_signals(stack: Stack) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal stop the stack in order.

    A second signal changes nothing: the stop is bounded as it is.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda *_: stack.stop()) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _programs(commands: Mapping[str, str], found: Surroundings) -> list[Program]:
    stores = [
        Program(name=spec.name, command=store_command(spec.command), is_store=True)
        for spec in found.stores
    ]
    for spec in found.stores:
        spec.folder.mkdir(parents=True, exist_ok=True)
    return stores + [
        Program(name=name, command=command)
        for name, command in commands.items()
        if name != RELEASE
    ]


def temporary_folder() -> Path:
    """Make a folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="postroom-"))
    if len(str(folder)) <= _MAX_TEMPORARY:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="postroom-", dir="/tmp"))


def _url(found: Surroundings) -> str:
    return f"http://{HOST}:{found.port}"


def _tell_addresses(found: Surroundings) -> None:
    url = _url(found)
    typer.echo(f"""
  API        {url}/api/emails
  docs       {url}/docs
  inbox      {url}/sandbox
  logs       {FOLDER}/log/
  addresses  {FOLDER}/env     (for your shell: set -a; . {FOLDER}/env)

Ctrl-C stops it.""")
