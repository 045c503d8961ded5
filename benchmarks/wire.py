"""What each process says to MongoDB and Redis, counted on the wire.

Each process has addresses of its own for the two servers, behind which a tap hands
everything on and reads along. What a script does inside Redis is not on the wire: that
is told by MONITOR, and matched by the connection and the order on it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

import hiredis

from benchmarks.instant_store import OP_MSG, command_of

HOST = "127.0.0.1"

#: Bytes that are read at once.
CHUNK = 65_536

_HEADER_BYTES = 16

#: Greetings and keeping of connections: they belong to no email.
_OF_CONNECTIONS = frozenset(
    {"hello", "ismaster", "ping", "endSessions", "client", "auth", "select", "command"}
)

#: What is asked to get work, and answered by nothing when there is none.
_WAITS = re.compile(r"fetch|^b[lrz]|^xread|pop", re.IGNORECASE)

_MONITORED = re.compile(rb'^\+\d+\.\d+ \[\d+ ([^\]]+)\] "([^"]*)"')


class Server(StrEnum):
    """Who is spoken to."""

    MONGODB = "mongodb"
    REDIS = "redis"


@dataclass(slots=True, kw_only=True)
class Said:
    """One command and its answer.

    Attributes:
        owner: Whose it was: a line of the Procfile.
        label: What it was, in a word or two.
        connection: Its address as the server sees it.
        is_trip: Nothing was on its way on this connection: it began a trip.
        is_empty: It asked for work, and there was none.
        at: When it was answered, in monotonic seconds.
        commands: What was executed for it, itself included.
    """

    owner: str
    server: Server
    name: str
    label: str
    connection: str
    is_trip: bool
    is_empty: bool = False
    at: float = 0.0
    commands: int = 1


class Reading(ABC):
    """Reads along on one connection; the two servers' protocols differ."""

    def __init__(self, owner: str, connection: str, heard: list[Said]) -> None:
        self._owner = owner
        self._connection = connection
        self._heard = heard
        self._waiting: deque[Said] = deque()

    @abstractmethod
    def request(self, data: bytes) -> None:
        """Read what the client has sent."""

    @abstractmethod
    def reply(self, data: bytes) -> None:
        """Read what the server has answered."""

    def _asked(self, server: Server, name: str, label: str) -> None:
        self._waiting.append(
            Said(
                owner=self._owner,
                server=server,
                name=name,
                label=label,
                connection=self._connection,
                is_trip=not self._waiting,
            )
        )

    def _answered(self, *, is_empty: bool) -> None:
        said = self._waiting.popleft()
        said.at = time.monotonic()
        said.is_empty = is_empty and bool(_WAITS.search(said.label))
        if said.name not in _OF_CONNECTIONS:
            self._heard.append(said)


class MongoReading(Reading):
    """Each message is a command, and a trip."""

    def __init__(self, owner: str, connection: str, heard: list[Said]) -> None:
        super().__init__(owner, connection, heard)
        self._read = bytearray()

    def request(self, data: bytes) -> None:
        """Read commands; an older greeting is none."""
        self._read += data
        while len(self._read) >= _HEADER_BYTES:
            length = int.from_bytes(self._read[:4], "little")
            if len(self._read) < length:
                return
            message = bytes(self._read[:length])
            del self._read[:length]
            if int.from_bytes(message[12:16], "little") == OP_MSG:
                name, collection = next(iter(command_of(message[16:]).items()))
                about = f" {collection}" if isinstance(collection, str) else ""
                self._asked(Server.MONGODB, name, f"{name}{about}")
                self._answered(is_empty=False)

    def reply(self, data: bytes) -> None:
        """Do nothing: what it says is not looked at."""


class RedisReading(Reading):
    """Requests are arrays like replies; several may be on their way."""

    def __init__(self, owner: str, connection: str, heard: list[Said]) -> None:
        super().__init__(owner, connection, heard)
        self._requests = hiredis.Reader()
        self._replies = hiredis.Reader()

    def request(self, data: bytes) -> None:
        """Read commands."""
        for words in _all(self._requests, data):
            name = words[0].decode().lower()
            self._asked(Server.REDIS, name, _label(name, words))

    def reply(self, data: bytes) -> None:
        """Read answers, each to the first command that has none."""
        for answer in _all(self._replies, data):
            if self._waiting and not isinstance(answer, hiredis.PushNotification):
                self._answered(is_empty=answer in (None, [], {}))


def _all(reader: hiredis.Reader, data: bytes) -> Iterable[Any]:
    reader.feed(data)
    while (found := reader.gets()) is not False:
        yield found


def _label(name: str, words: Sequence[bytes]) -> str:
    """Return a command's name, and what a script is asked to do."""
    if name not in {"evalsha", "eval", "fcall"}:
        return name
    first = 3 + int(words[2])
    word = words[first] if len(words) > first else b""
    return f"{name} {word.decode()}" if word.isalpha() and len(word) < 12 else name


class Taps:
    """All taps, on an event loop of their own; `with` starts and ends it.

    At its end it waits for the connections: whoever has them must be gone by then.
    """

    def __init__(self, mongodb_url: str, redis_url: str) -> None:
        self.heard: list[Said] = []
        self._urls = {Server.MONGODB: mongodb_url, Server.REDIS: redis_url}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def environ(self, owner: str) -> dict[str, str]:
        """Return the addresses of the servers for one process."""
        return {
            # It must not go on to the address that the server names.
            "MONGODB_URI": self._tapped(owner, Server.MONGODB)
            + "?directConnection=true",
            "REDIS_URL": self._tapped(owner, Server.REDIS),
        }

    def _tapped(self, owner: str, server: Server) -> str:
        tap = asyncio.run_coroutine_threadsafe(self._listen(owner, server), self._loop)
        return (
            urlsplit(self._urls[server])
            ._replace(netloc=f"{HOST}:{tap.result()}")
            .geturl()
        )

    async def _listen(self, owner: str, server: Server) -> int:
        target = urlsplit(self._urls[server]).port

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            behind = await asyncio.open_connection(HOST, target)
            address = "{}:{}".format(*behind[1].get_extra_info("sockname"))
            kind = MongoReading if server is Server.MONGODB else RedisReading
            reading = kind(owner, address, self.heard)
            try:
                await asyncio.gather(
                    _hand_on(reader, behind[1], reading.request),
                    _hand_on(behind[0], writer, reading.reply),
                    return_exceptions=True,
                )
            finally:
                self._tasks.discard(task)

        listener = await asyncio.start_server(serve, HOST, 0)
        self._listeners.append(listener)
        port: int = listener.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _hand_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read: Any
) -> None:
    try:
        while data := await reader.read(CHUNK):
            read(data)
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class Monitor:
    """What Redis executes, with what scripts do; `with` starts and ends it."""

    def __init__(self, redis_url: str) -> None:
        url = urlsplit(redis_url)
        self._socket = socket.create_connection((url.hostname, url.port))
        self._thread = threading.Thread(target=self._run)
        self._seen: dict[str, list[tuple[str, int]]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def fill_in(self, heard: Iterable[Said]) -> None:
        """Note how much was executed for each command, by connection and order."""
        left = {connection: iter(seen) for connection, seen in self._seen.items()}
        for said in heard:
            if said.server is Server.REDIS:
                groups = left.get(said.connection, iter(()))
                found = (count for name, count in groups if name == said.name)
                said.commands = next(found, 1)

    def seen(self) -> list[list[tuple[str, int]]]:
        """Return each connection's commands so far, with how much was executed."""
        return [list(each) for each in list(self._seen.values())]

    def _run(self) -> None:
        with self._socket.makefile("rb") as lines:
            connection = ""
            for line in lines:
                found = _MONITORED.match(line)
                if found is None:
                    continue
                who, name = found[1].decode(), found[2].decode().lower()
                if who != "lua":
                    connection = who
                    self._seen[connection].append((name, 1))
                elif connection:
                    last, count = self._seen[connection][-1]
                    self._seen[connection][-1] = (last, count + 1)
