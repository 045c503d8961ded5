"""A process that has imported everything, and makes others by forking.

Python takes a second or two to load what one of our processes needs; a test that ends
hundreds of them cannot wait for that. The children run the very commands of the
Procfile, with an environment, a session and a log of their own.

It reads orders from standard input and tells of births and deaths on standard output,
one JSON object a line::

    {"id": 1, "words": ["postroom", "doctor"], "environ": {...}, "log": "..."}
    {"id": 1, "pid": 4711}
    {"ended": 4711, "code": -9}
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[2]

#: What the children would import. Not gunicorn: it reads its environment when it is
#: imported, and its own children are forked from where it has everything.
MODULES = (
    "dramatiq.cli",
    "periodiq",
    "postroom.actors.worker",
    "postroom.http.wsgi",
    "postroom.cli.main",
    "tests.e2e.errands",
)

#: A command that is none of the installed ones.
ERRAND = "errand"

PATIENCE_S = 60.0


class Nursery:
    """The parent of a test's processes, from `with` to its end."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._ids = itertools.count(1)
        self._born: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        self._watched: dict[int, Callable[[int], None]] = {}
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.nursery"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        self._process.stdout.close()

    def fork(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        *,
        on_end: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Start a command and return its pid; ``on_end`` is told when it has ended."""
        order = {
            "id": (number := next(self._ids)),
            "words": list(words),
            "environ": dict(environ),
            "log": str(log),
        }
        assert self._process.stdin is not None
        with self._news:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            assert self._news.wait_for(lambda: number in self._born, PATIENCE_S)
            pid = self._born.pop(number)
            if pid in self._codes:
                on_end(pid)
            else:
                self._watched[pid] = on_end
        return pid

    def code_of(self, pid: int) -> int:
        """Wait for an end and return its code: below 0 the signal that it died of."""
        with self._news:
            assert self._news.wait_for(lambda: pid in self._codes, PATIENCE_S)
            return self._codes[pid]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            with self._news:
                if "pid" in news:
                    self._born[news["id"]] = news["pid"]
                    # Perhaps it is not the first one that has this pid.
                    self._codes.pop(news["pid"], None)
                else:
                    self._codes[news["ended"]] = news["code"]
                on_end = self._watched.pop(news.get("ended"), None)
                self._news.notify_all()
            if on_end is not None:  # it may fork, which waits for what is read here
                threading.Thread(target=on_end, args=(news["ended"],)).start()


def main() -> None:
    """Fork as ordered, until standard input is closed."""
    for module in MODULES:
        importlib.import_module(module)
    alarm, wakeup = os.pipe()
    os.set_blocking(alarm, False)
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    rest = b""
    while True:
        ready, _, _ = select.select([0, alarm], [], [])
        if alarm in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(alarm, 4096)
            _tell_of_the_dead()
        if 0 in ready:
            more = os.read(0, 1 << 20)
            if not more:
                return
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                _fork(json.loads(line), unused=(alarm, wakeup))


def _tell_of_the_dead() -> None:
    for pid, status in _dead():
        _tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _dead() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def _fork(order: Mapping[str, Any], *, unused: Sequence[int]) -> None:
    pid = os.fork()
    if pid:
        _tell({"id": order["id"], "pid": pid})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in unused:
        os.close(each)
    _become(order)


def _become(order: Mapping[str, Any]) -> NoReturn:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.argv = list(order["words"])
    code: object = 1
    try:
        code = _command(sys.argv[0])()
    except SystemExit as ex:
        code = ex.code
    except BaseException:  # noqa: BLE001 - the end of this process, with its reason
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


def _command(name: str) -> Callable[[], object]:
    if name == ERRAND:
        return importlib.import_module("tests.e2e.errands").main  # type: ignore[no-any-return]
    (found,) = entry_points(group="console_scripts", name=name)
    return found.load()  # type: ignore[no-any-return]


def _tell(news: Mapping[str, object]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    main()
