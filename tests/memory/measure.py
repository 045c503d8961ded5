"""How much memory one web process takes at most while bodies come in."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service import PATIENCE_S, Service

#: Threads of one web process, and so the most requests that it works on at once.
AT_ONCE = 16

#: Bytes sent at a time.
_CHUNK = 1 << 20

_HEAD = (
    "POST /api/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    "Connection: close\r\n{}\r\n\r\n"
)


@contextmanager
def a_web_process(folder: Path) -> Iterator[Service]:
    """Start one web process over real stores, and nothing that would send."""
    nowhere = "http://127.0.0.1:1"
    service = Service(
        folder,
        WEB_CONCURRENCY="1",
        SENDGRID_API_URL=nowhere,
        MAILGUN_API_URL=nowhere,
    )
    try:
        service.mongodb.start()
        service.redis.start()
        service.prepare()
        service.start("web")
        service.wait_until(lambda: _answers(service.port), "web")
        yield service
    finally:
        service.kill9("web")
        service.redis.kill9()
        service.mongodb.kill9()


def _answers(port: int) -> bool:
    try:
        return post(port, b"{}") == 400
    except OSError:
        return False


class Memory:
    """What the worker of a web process has in RAM, in bytes."""

    def __init__(self, service: Service) -> None:
        master = service.processes["web"].pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        (self._worker,) = (Path(f"/proc/{pid}") for pid in children)

    def now(self) -> int:
        return self._read("VmRSS")

    def peak(self) -> int:
        return self._read("VmHWM")

    def forget_peak(self) -> None:
        (self._worker / "clear_refs").write_text("5")

    def _read(self, name: str) -> int:
        for line in (self._worker / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)


def post(port: int, body: bytes, *, chunked: bool = False, times: int = 1) -> int:
    """Send a body, or one repeated so often, until there is an answer; its status."""
    framing = (
        "Transfer-Encoding: chunked"
        if chunked
        else f"Content-Length: {len(body) * times}"
    )
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        sock.settimeout(120)
        sock.sendall(_HEAD.format(framing).encode())
        try:
            for _ in range(times):
                _send(sock, body, chunked=chunked)
            if chunked:
                sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has refused; what it said may still be read
        return int(sock.recv(65536).split()[1])


def _send(sock: socket.socket, body: bytes, *, chunked: bool) -> None:
    for start in range(0, len(body), _CHUNK):
        part = body[start : start + _CHUNK]
        if chunked:
            sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        else:
            sock.sendall(part)


def at_once(port: int, body: bytes, count: int = AT_ONCE) -> tuple[Counter[str], float]:
    """Send a body so often at the same time; the statuses, and how long it took."""
    told: Counter[str] = Counter()

    def send() -> None:
        try:
            told[str(post(port, body))] += 1
        except (OSError, IndexError) as ex:
            told[type(ex).__name__] += 1

    began = time.monotonic()
    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told, time.monotonic() - began
