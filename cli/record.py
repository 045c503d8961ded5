"""Who runs here: one stack a folder, and what a killed one left behind."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import session
from .errors import StackError

#: How long the supervisor of a killed stack may take to stop, in seconds.
_LEFTOVER_GRACE_S = 40.0


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; end what a killed one left there.

    The lock is the kernel's: it goes with its process, however that ends.

    Raises:
        StackError: Another process holds it.
    """
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as ex:
            raise StackError(_running(read(folder))) from ex
        _end_leftovers(folder)
        yield


def write(folder: Path, facts: Mapping[str, object]) -> None:
    """Keep what a later run must know if this one is killed.

    Args:
        folder: The folder of the stack.
        facts: ``session`` and ``temporary`` for the clean-up, ``pid`` and ``url`` for
            the message to whoever starts a second one.
    """
    _path(folder).write_text(json.dumps(facts), encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Return what the last run has written; empty after an orderly end."""
    try:
        facts = json.loads(_path(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def remove(folder: Path) -> None:
    """Forget the run: it has ended in order."""
    _path(folder).unlink(missing_ok=True)


def _end_leftovers(folder: Path) -> None:
    facts = read(folder)
    if not facts:
        return
    leader, temporary = int(facts["session"]), Path(facts["temporary"])
    if session.is_led_by(leader, mark=str(temporary)):
        session.end(leader, grace_s=_LEFTOVER_GRACE_S)
    shutil.rmtree(temporary, ignore_errors=True)
    remove(folder)


def _running(facts: Mapping[str, Any]) -> str:
    where = f" at {facts['url']} (pid {facts['pid']})" if facts else ""
    return f"it runs in this folder already{where}; Ctrl-C there stops it"


def _path(folder: Path) -> Path:
    return folder / "run.json"
