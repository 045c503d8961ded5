"""The service with processes that start in no time, and start again when they die."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from postroom.domain.email import Priority
from postroom.domain.hint import send_queue
from tests.e2e.nursery import PATIENCE_S, Nursery
from tests.e2e.service import Service

#: Groups of processes beside the workers of each provider; each has failpoints apart.
WEB, ROUTER, SCHEDULER = "web", "router", "scheduler"
COMMANDS = {"before": "command", "after": "further-command"}
ERRANDS = "errand"

#: How many routers there are: while one starts again the others go on.
ROUTERS = 3


class ForkedService(Service):
    """Runs the Procfile's lines in children of a nursery.

    Each provider has workers of its own, so that a worker that is killed has no email
    of another in hand. What ends is started again at once, as a supervisor does.
    """

    def __init__(
        self, folder: Path, *, workers: Mapping[str, int], **settings: str
    ) -> None:
        """Describe it.

        Args:
            folder: For everything that is kept.
            workers: How many each provider has.
            settings: Beside those of every service.
        """
        super().__init__(folder, **settings)
        self.nursery = Nursery(folder / "nursery.log")
        self.pids: dict[str, int] = {}
        self.deaths = 0
        self._workers = workers
        self._to_close = contextlib.ExitStack()
        self._is_stopping = False
        self._lock = threading.Lock()
        for group in (WEB, ROUTER, SCHEDULER, ERRANDS, *COMMANDS.values(), *workers):
            self.armed(group).mkdir(parents=True)

    def __enter__(self) -> Self:
        self._to_close.enter_context(self.nursery)
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_stopping = True
        for name in self.pids:
            self.kill9(name)
        super().__exit__()
        self._to_close.close()

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        router, worker = lines.pop("router"), lines.pop("worker")
        lines |= {f"router.{number}": router for number in range(ROUTERS)}
        for provider, count in self._workers.items():
            queues = " ".join(send_queue(provider, priority) for priority in Priority)
            for number in range(count):
                lines[f"{provider}.{number}"] = f"{worker} --queues {queues}"
        return lines

    @property
    def running(self) -> list[str]:
        return list(self.pids)

    def group(self, name: str) -> list[str]:
        """Return the processes of a provider, or of one kind."""
        return [one for one in self.pids if one.partition(".")[0] == name]

    def armed(self, group: str) -> Path:
        """Return the folder where the failpoints of a group are armed."""
        return self.folder / "armed" / group

    def start(self, name: str, **environ: str) -> None:
        def start_again(_: int) -> None:
            with self._lock:
                if self._is_stopping:
                    return
                self.deaths += 1
            self.start(name, **environ)

        given = self._environ_of(name.partition(".")[0]) | environ
        words, of_line = words_of(self.lines[name], given)
        self.pids[name] = self.nursery.fork(
            words, given | of_line, self.folder / f"{name}.log", on_end=start_again
        )

    def command(self, *words: str, group: str, **environ: str) -> int:
        """Run a command to its end and return its code."""
        log = self.folder / "commands.log"
        pid = self.nursery.fork(words, self._environ_of(group) | environ, log)
        return self.nursery.code_of(pid)

    def signal(self, name: str, signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pids[name], signum)

    def kill9(self, name: str) -> None:
        pid = self.pids[name]
        self.signal(name, signal.SIGKILL)
        self.nursery.code_of(pid)

    def _environ_of(self, group: str) -> dict[str, str]:
        return self.environ | {"POSTROOM_FAILPOINTS_DIR": str(self.armed(group))}


def words_of(line: str, environ: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a line of shell, and the variables that it sets."""
    told = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {line}"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    words = told.stdout.splitlines()
    of_line: dict[str, str] = {}
    if words[0] == "env":
        del words[0]
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            of_line[name] = value
    return words, of_line
