"""A TCP proxy that fails on demand, for what lies between the processes and the rest.

As a process of its own, so that it costs the harness nothing::

    python -m tests.chaos.proxy --seed 1 redis=6379 mongodb=27017

It prints the ports that it listens on as one line of JSON, then takes one order a
line on standard input (`{"leg": "redis", "mode": "drop", "chance": 0.1}`), answers
each with how often that leg has done harm so far, and ends with its input.

Modes: `pass`; `latency`: each reply comes `pause_s` later; `reset`: open connections
and new ones are reset; `drop`: with `chance` a reply is lost with its connection, so
that the request was executed, up to so many `times`; `blackhole`: nothing passes in
either direction until the mode ends, then it does, as packets are that TCP sends again;
`slow`: replies come byte by byte with `pause_s` in between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"

#: Bytes that are read at once.
CHUNK = 65_536


class Mode(StrEnum):
    """What a leg does to what goes over it."""

    PASS = "pass"
    LATENCY = "latency"
    RESET = "reset"
    DROP = "drop"
    BLACKHOLE = "blackhole"
    SLOW = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a leg is to do from now on."""

    mode: Mode = Mode.PASS
    chance: float = 0.0
    times: int | None = None
    pause_s: float = 0.0


class Leg:
    """One listening port and the port behind it."""

    def __init__(self, target: int, draw: random.Random) -> None:
        self.hits = 0
        self._target = target
        self._draw = draw
        self._order = Order()
        self._dropped = 0
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        # The loop itself keeps no task alive.
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        server = await asyncio.start_server(self._accept, HOST, 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def obey(self, order: Order) -> None:
        self._order = order
        self._dropped = 0
        self._changed.set()
        self._changed = asyncio.Event()
        if order.mode is Mode.RESET:
            for writer in list(self._open):
                self._harm(writer)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._while_in_a_hole()
        if self._order.mode is Mode.RESET:
            self._harm(writer)
            return
        try:
            behind = await asyncio.open_connection(HOST, self._target)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, behind[1]}
        try:
            await asyncio.gather(
                self._requests(reader, behind[1]), self._replies(behind[0], writer)
            )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (writer, behind[1]):
                self._open.discard(end)
                _reset(end)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._while_in_a_hole()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # the client has gone

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._while_in_a_hole()
            order = self._order
            if self._drops(order):
                self.hits += 1
                raise ConnectionResetError
            if order.mode is Mode.LATENCY:
                self.hits += 1
                await asyncio.sleep(order.pause_s)
            if order.mode is Mode.SLOW:
                self.hits += 1
                await self._drip(data, writer)
            else:
                writer.write(data)
                await writer.drain()
        await writer.drain()
        raise ConnectionResetError  # the server has gone

    def _drops(self, order: Order) -> bool:
        if order.mode is not Mode.DROP or self._draw.random() >= order.chance:
            return False
        self._dropped += 1
        return order.times is None or self._dropped <= order.times

    async def _drip(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for index in range(len(data)):
            order = self._order
            if order.mode is not Mode.SLOW:
                writer.write(data[index:])
                break
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(order.pause_s)
        await writer.drain()

    async def _while_in_a_hole(self) -> None:
        if self._order.mode is Mode.BLACKHOLE:
            self.hits += 1
        while self._order.mode is Mode.BLACKHOLE:
            await self._changed.wait()

    def _harm(self, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once; the other side sees a reset, and no orderly end."""
    held = writer.get_extra_info("socket")
    if held is not None and held.fileno() >= 0:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(targets: Mapping[str, int], seed: int) -> None:
    """Serve until standard input ends."""
    legs = {
        name: Leg(port, random.Random(f"{seed} {name}"))  # noqa: S311 - a test's
        for name, port in targets.items()
    }
    print(json.dumps({n: await leg.listen() for n, leg in legs.items()}), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        given = json.loads(line)
        leg = legs[given.pop("leg")]
        leg.obey(Order(**{**given, "mode": Mode(given["mode"])}))
        print(json.dumps(leg.hits), flush=True)


class Proxies:
    """The proxy's process, and the orders that it takes."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.hits: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def start(self, targets: Mapping[str, int], *, seed: int = 0) -> Self:
        legs = [f"{name}={port}" for name, port in targets.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", "--seed", str(seed), *legs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.ports = self._read()
        return self

    def set(self, leg: str, order: Order | None = None) -> None:
        """Give a leg its order; without one everything passes."""
        given: dict[str, Any] = {"leg": leg, **asdict(order or Order())}
        with self._lock:
            assert self._process is not None, "not started"
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(given) + "\n")
            self._process.stdin.flush()
            self.hits[leg] = self._read()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        process.wait(30)

    def _read(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.proxy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("targets", nargs="+", metavar="NAME=PORT")
    given = parser.parse_args()
    targets = dict(target.split("=") for target in given.targets)
    ports = {name: int(port) for name, port in targets.items()}
    asyncio.run(serve(ports, given.seed))


if __name__ == "__main__":
    main()
