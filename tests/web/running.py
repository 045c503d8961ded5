"""gunicorn as the Procfile starts it, for tests that talk to it over loopback."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import a_port

#: Bound on a start, an answer or a stop, in seconds; only a hang reaches it.
PATIENCE_S = 30.0

ROOT = Path(__file__).parents[2]

#: The application over the store in memory.
SERVED = "tests.web.served:create()"

HEADERS = {"Content-Type": "application/json"}


class Gunicorn:
    """One master with its workers, in a process group of its own."""

    def __init__(self, folder: Path, app: str = SERVED, **environ: str) -> None:
        self.port = a_port()
        self.home = folder / "home"
        self.home.mkdir()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn"),
                    *("-c", "python:postroom.http.server"),
                    app,
                ],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.home),
                    "TMPDIR": str(folder),  # what a kill leaves goes with it
                    "PORT": str(self.port),
                    "WEB_CONCURRENCY": "2",
                    **environ,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        # Both workers, or a signal may come before one of them handles it.
        deadline = time.monotonic() + PATIENCE_S
        while self.log.read_text().count("Booting worker") < 2 or not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        time.sleep(1)

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/health")[0] == 200
        except OSError:
            return False

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def call(
        self, method: str, path: str, body: Any = None
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        connection = self.connect()
        try:
            return exchange(connection, method, path, body)
        finally:
            connection.close()

    def is_port_open(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_S).close()
        except ConnectionError:
            return False
        return True


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
) -> tuple[int, http.client.HTTPMessage, Any]:
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.headers, json.loads(answer.read() or b"null")


@contextmanager
def serving(folder: Path, **given: str) -> Iterator[Gunicorn]:
    server = Gunicorn(folder, **given)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        print(server.log.read_text())  # shown with a failure
