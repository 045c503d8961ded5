"""The fake provider in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.fake_rules import Rule


class AsProcess:
    """The fake in a process of its own, with its journal in a file.

    The port stays over restarts; the journal is appended to. Further `options` are
    those of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.journal = folder / "journal.jsonl"
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> Self:
        arguments = ["--port", str(self.port), "--journal", str(self.journal)]
        arguments += self._options
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fake_provider", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on"), f"the fake did not start: {line!r}"
        self.port = int(line.strip().rpartition(":")[2])
        return self

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sig)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def script(self, *rules: Rule) -> None:
        self._ask("POST", "/_control", [asdict(rule) for rule in rules])

    def reset(self) -> None:
        self._ask("POST", "/_reset", {})

    def honour_keys(self, honoured: bool) -> None:
        """Say whether keys count from now on. A new process begins as it was made."""
        self._ask("POST", "/_keys", {"honoured": honoured})

    @property
    def taken(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/_journal")["taken"])

    @property
    def calls(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/_calls")["calls"])

    def lines(self) -> list[dict[str, Any]]:
        """Return the journal file: also after the process was killed."""
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def _ask(self, method: str, path: str, what: Any = None) -> Any:
        data = None if what is None else json.dumps(what).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
