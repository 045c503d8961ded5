"""supervisord as a child: it starts our processes, and starts again what dies.

It is told by a file in a short temporary folder and asked over a socket in the same
folder (a socket's path may have 108 bytes at most, and projects lie deep). Why this
supervisor: docs/adr/0002-supervisor.md.
"""

import shlex
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast

from . import session

#: How long one process may take to stop, in seconds: dramatiq gives its threads 25.
STOP_WAIT_S = 30

#: The same for a store; it stops after the processes that use it.
STORE_STOP_WAIT_S = 5

#: Everything together, in seconds; then what is left is killed.
STOP_ALL_S = 38.0

_ANSWER_TIMEOUT_S = 5.0

#: supervisord's fault for a process that ended while it was being started.
_SPAWN_ERROR = 50

_HEAD = """\
[unix_http_server]
file={folder}/s
chmod=0700
[supervisord]
nodaemon=true
silent=true
nocleanup=true
logfile={log_folder}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={folder}/pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# Groups stop one after the other, the higher number first, each all at once.
_GROUP = """\
[group:{group}]
programs={names}
priority={priority}
"""

# TERM goes to the process only: dramatiq's workers drop their work at the second one,
# and their master passes it on. KILL goes to all of its group.
_PROGRAM = """\
[program:{name}]
command=/bin/sh {folder}/{name}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal=TERM
stopwaitsecs={stop_wait_s}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={log_folder}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to keep running: a line of shell that is one simple command."""

    name: str
    command: str
    is_store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """What the supervisor says of one process."""

    pid: int
    state: str
    detail: str

    @property
    def is_up(self) -> bool:
        """Whether it runs, or has just been started."""
        return self.state in {"STARTING", "RUNNING"}


class Supervisor:
    """A running supervisord with the processes that it was told of."""

    def __init__(self, folder: Path, *, log_folder: Path) -> None:
        """Name the folders; nothing happens yet.

        Args:
            folder: Temporary, short, ours alone; the caller removes it.
            log_folder: Where the processes' output is kept.
        """
        self._folder = folder
        self._log_folder = log_folder
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of supervisord, which names the session of all processes."""
        if self._child is None:
            raise RuntimeError("the supervisor was not started")
        return self._child.pid

    def launch(
        self, programs: Iterable[Program], environ: Mapping[str, str], *, cwd: Path
    ) -> None:
        """Start supervisord, with none of the programs running yet."""
        config = self._folder / "conf"
        config.write_text(self._configure(list(programs)), encoding="utf-8")
        self._child = subprocess.Popen(  # noqa: S603  our own command line
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            # Ctrl-C must reach us only, and all of ours must be found again.
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        """Say whether supervisord itself runs."""
        return self._child is not None and self._child.poll() is None

    def answers(self) -> bool:
        """Say whether it takes commands yet."""
        with suppress(OSError, HTTPException), self._server() as server:
            return bool(server.supervisor.getState())
        return False

    def start(self, name: str, *, is_store: bool = False) -> None:
        """Start one process, without waiting until it stays up.

        One that is dead again before supervisord answers counts as started: it is
        started anew like any other that dies, and ``states`` tells of it.
        """
        full_name = f"{_group(is_store=is_store)}:{name}"
        try:
            with self._server() as server:
                server.supervisor.startProcess(full_name, False)  # noqa: FBT003  its API
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _SPAWN_ERROR:
                raise

    def states(self) -> dict[str, ProcessState]:
        """Return what each process does now, by name."""
        with self._server() as server:
            answer = cast("list[dict[str, Any]]", server.supervisor.getAllProcessInfo())
        return {
            info["name"]: ProcessState(
                pid=info["pid"],
                state=info["statename"],
                detail=info["spawnerr"] or f"exit status {info['exitstatus']}",
            )
            for info in answer
        }

    def stop(self) -> None:
        """Stop the processes, then the stores, then supervisord; kill what stays."""
        if self._child is None:
            return
        # What is dead and not waited for would still count as a member.
        session.end(self._child.pid, grace_s=STOP_ALL_S)
        self._child.wait()

    def _server(self) -> xmlrpc.client.ServerProxy:
        transport = _UnixTransport(str(self._folder / "s"))
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport)

    def _configure(self, programs: list[Program]) -> str:
        words = {
            "folder": _escape(self._folder),
            "log_folder": _escape(self._log_folder),
        }
        parts = [_HEAD.format(**words)]
        for priority, is_store in ((10, True), (20, False)):
            names = [p.name for p in programs if p.is_store is is_store]
            if names:
                part = {"group": _group(is_store=is_store), "names": ",".join(names)}
                parts.append(_GROUP.format(priority=priority, **part))
        for program in programs:
            # In a file of its own the line is read by a shell, as on a Procfile host,
            # and not by supervisord's own rules for quotes, comments and percents.
            script = f"exec {program.command}\n"
            (self._folder / program.name).write_text(script, encoding="utf-8")
            wait_s = STORE_STOP_WAIT_S if program.is_store else STOP_WAIT_S
            parts.append(
                _PROGRAM.format(name=program.name, stop_wait_s=wait_s, **words)
            )
        return "".join(parts)


def store_command(words: Iterable[str]) -> str:
    """Write a store's command line as a line of shell."""
    return shlex.join(words)


def _group(*, is_store: bool) -> str:
    return "stores" if is_store else "processes"


def _escape(path: Path) -> str:
    return str(path).replace("%", "%%")


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = (host, connection)  # what close() closes
        return connection


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWER_TIMEOUT_S)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise
