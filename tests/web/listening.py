"""An application of a test behind an address, for clients that need one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.web.stand import Stand


class Switchboard:
    """One address, behind which each test puts an application of its own."""

    def __init__(self) -> None:
        self.url = ""
        self.stand = Stand()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.stand.app(environ, start_response)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        if "Content-Type" not in self.headers:
            environ["CONTENT_TYPE"] = ""  # or text/plain, which nobody said
        return environ

    def log_message(self, *_: object) -> None: ...


@contextmanager
def listening() -> Iterator[Switchboard]:
    """Give an address of the API: ``http://127.0.0.1:PORT/api``."""
    board = Switchboard()
    parts: dict[str, Any] = {"server_class": _Server, "handler_class": _Handler}
    server = make_server("127.0.0.1", 0, board, **parts)
    board.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield board
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
