"""What supervisord says of a start, and what we make of it."""

import threading
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import UnixStreamServer
from tempfile import TemporaryDirectory
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from postroom.cli.supervision import Supervisor

supervisor_faults = pytest.importorskip("supervisor.xmlrpc").Faults


class Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/RPC2",)
    disable_nagle_algorithm = False  # no such thing on a Unix socket

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Stay silent."""


class Server(UnixStreamServer, SimpleXMLRPCDispatcher):
    def __init__(self, path: str) -> None:
        UnixStreamServer.__init__(self, path, Handler)
        SimpleXMLRPCDispatcher.__init__(self, allow_none=True, encoding=None)


@contextmanager
def supervisord_that_answers(fault: int) -> Iterator[Supervisor]:
    """A server on the supervisor's socket that refuses every start."""

    def refuse(name: str, wait: bool) -> None:
        raise xmlrpc.client.Fault(fault, f"{name} {wait}")

    with TemporaryDirectory(prefix="postroom-") as name:
        folder = Path(name)
        with Server(str(folder / "s")) as server:
            server.register_function(refuse, "supervisor.startProcess")
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield Supervisor(folder, log_folder=folder)
            finally:
                server.shutdown()
                thread.join()


def test_a_process_that_is_dead_at_once_was_started_all_the_same() -> None:
    with supervisord_that_answers(supervisor_faults.SPAWN_ERROR) as supervisor:
        supervisor.start("worker")


def test_any_other_refusal_of_a_start_is_an_error() -> None:
    with (
        supervisord_that_answers(supervisor_faults.NO_FILE) as supervisor,
        pytest.raises(xmlrpc.client.Fault, match="stores:redis"),
    ):
        supervisor.start("redis", is_store=True)
