"""All processes of one run, found by their session.

The supervisor leads a session of its own, and whatever it starts stays in that
session, also when its parent dies: a worker whose master was killed, or everything
after a kill -9 of ours. The kernel gives a session's number to nobody else while a
member lives, so that it is a safer name for "all of ours" than a list of pids.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PAUSE_S = 0.1

#: How long the kernel may take to end what was killed, in seconds.
_KILL_PATIENCE_S = 5.0


def members(session: int) -> list[int]:
    """Return the pids of a session's living processes; zombies are not alive."""
    found = []
    for pid in _living():
        with suppress(OSError):
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def is_led_by(session: int, *, mark: str) -> bool:
    """Say whether a session found in a record is still the one recorded.

    Numbers come again after a restart of the machine. The leader's command line must
    carry ``mark``; a session without its leader passes, for no new one lacks it.
    """
    command = command_line(session)
    return command is None or mark in command


def end(session: int, *, grace_s: float) -> None:
    """Ask a session's leader to stop; kill what is left of it after the grace.

    Members whose leader is gone are killed at once: nobody is there to stop them in
    their order.

    Args:
        session: The pid of the leader.
        grace_s: How long the leader may take, in seconds.
    """
    give_up = time.monotonic() + grace_s
    with suppress(ProcessLookupError):
        os.kill(session, signal.SIGTERM)
    while session in members(session) and time.monotonic() < give_up:
        time.sleep(_PAUSE_S)
    give_up = time.monotonic() + _KILL_PATIENCE_S
    while (left := members(session)) and time.monotonic() < give_up:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_S)


def command_line(pid: int) -> str | None:
    """Return a living process's command line, or ``None`` if there is none."""
    if pid not in set(_living()):
        return None
    if _PROC.joinpath("self").exists():
        try:
            words = _PROC.joinpath(str(pid), "cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return b" ".join(words).decode(errors="replace")
    return _ps("-p", str(pid), "-o", "command=").strip() or None


def _living() -> Iterator[int]:
    # Slim images have /proc but no ps; macOS has ps but no /proc.
    if _PROC.joinpath("self").exists():
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and not _is_zombie(entry):
                yield int(entry.name)
        return
    for line in _ps("-A", "-o", "pid=,stat=").splitlines():
        pid, state = line.split()
        if not state.startswith("Z"):
            yield int(pid)


def _is_zombie(entry: Path) -> bool:
    try:
        # The name before the state may hold anything, a parenthesis too.
        state = entry.joinpath("stat").read_text(errors="replace").rpartition(")")[2]
    except OSError:
        return True
    return state.split()[0] in {"Z", "X"}


def _ps(*arguments: str) -> str:
    return subprocess.run(  # noqa: S603  fixed words and a number
        ["/bin/ps", *arguments], capture_output=True, text=True, check=False
    ).stdout
