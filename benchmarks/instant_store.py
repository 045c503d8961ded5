"""A store that answers at once: MongoDB's wire protocol over documents in memory.

The embedded store needs 0.3 to 0.6 ms of one core for each operation, and would be what
every figure of throughput shows. This one needs about 0.1 ms. It checks guards and
applies updates, but keeps nothing on a disk, has no other member to wait for, applies
the writes of a transaction at once and never takes them back. So it says what Postroom
costs, and nothing about MongoDB.

    python -m benchmarks.instant_store PORT
"""

from __future__ import annotations

import asyncio
import gc
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

import bson
from bson.int64 import Int64

from benchmarks.connection import Connection
from benchmarks.instant_documents import Collection, Document

HOST = "127.0.0.1"

#: The operations of the protocol: everything, and the first greeting of older drivers.
OP_MSG, OP_QUERY, OP_REPLY = 2013, 2004, 1

_HEAD = struct.Struct("<iiii")
_MORE_TO_COME = 2
_CHECKSUM = 1

_OK: Document = {"ok": 1.0}


class Store:
    """All collections, and the commands on them."""

    def __init__(self, port: int) -> None:
        self._me = f"{HOST}:{port}"
        self._collections: dict[str, Collection] = defaultdict(Collection)
        self._cursors: dict[int, Iterator[Document]] = {}
        self._cursor_ids = count(1)
        self._commands: Mapping[str, Callable[[Document], Document]] = {
            **dict.fromkeys(("hello", "ismaster", "isMaster"), self._hello),
            **dict.fromkeys(("ping", "endSessions"), _fine),
            **dict.fromkeys(("commitTransaction", "abortTransaction"), _fine),
            "buildInfo": lambda _: {"version": "7.0.0", "versionArray": [7, 0, 0, 0]},
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "find": self._find,
            "getMore": self._get_more,
            "killCursors": self._kill_cursors,
            "aggregate": self._aggregate,
            "createIndexes": self._create_indexes,
            "listIndexes": self._list_indexes,
            "drop": self._drop,
        }

    def do(self, command: Document) -> Document:
        """Answer a command, as MongoDB would as far as anybody looks."""
        name = next(iter(command))
        act = self._commands.get(name)
        if act is None:
            return _error(59, "CommandNotFound", f"no such command: {name!r}")
        try:
            return _OK | act(command)
        except (KeyError, TypeError, ValueError, IndexError) as ex:
            return _error(9, "FailedToParse", f"{name}: {type(ex).__name__}: {ex}")

    def _hello(self, _command: Document) -> Document:
        return {
            "helloOk": True,
            "ismaster": True,
            "isWritablePrimary": True,
            "setName": "instant",
            "setVersion": 1,
            "me": self._me,
            "primary": self._me,
            "hosts": [self._me],
            "maxBsonObjectSize": 16 * 1024 * 1024,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": False,
            "localTime": datetime.now(UTC),
        }

    def _insert(self, command: Document) -> Document:
        collection = self._collections[command["insert"]]
        errors = []
        documents = command["documents"]
        for index, document in enumerate(documents):
            if not collection.insert(document):
                said = f"E11000 duplicate key: {document['_id']}"
                errors.append({"index": index, "code": 11000, "errmsg": said})
        told = {"writeErrors": errors} if errors else {}
        return {"n": len(documents) - len(errors), **told}

    def _update(self, command: Document) -> Document:
        collection = self._collections[command["update"]]
        count, made = 0, []
        for index, order in enumerate(command["updates"]):
            matched, new = collection.update(order)
            count += matched
            if new is not None:
                made.append({"index": index, "_id": new})
        told = {"upserted": made} if made else {}
        return {"n": count + len(made), "nModified": count, **told}

    def _delete(self, command: Document) -> Document:
        collection = self._collections[command["delete"]]
        return {"n": sum(collection.delete(order) for order in command["deletes"])}

    def _find(self, command: Document) -> Document:
        name, query = command["find"], command.get("filter", {})
        collection, order = self._collections[name], command.get("sort", {})
        found: Iterable[Document] = collection.find(query)
        if not collection.is_ordered(query, order):
            found = list(found)
            for field, direction in reversed(list(order.items())):
                found.sort(key=lambda each: each[field], reverse=direction < 0)
        limited = islice(found, command.get("limit") or None)
        shown = _projected(limited, command.get("projection") or {})
        return self._cursor(command, name, shown)

    def _cursor(
        self, command: Document, name: str, shown: Iterator[Document]
    ) -> Document:
        """Return the first batch, and keep the others if they do not fit into it."""
        size = command.get("batchSize")
        batch = list(islice(shown, size))
        cursor_id = next(self._cursor_ids) if len(batch) == size else 0
        if cursor_id:
            self._cursors[cursor_id] = shown
        return _cursor(command, name, batch, cursor_id=cursor_id)

    def _get_more(self, command: Document) -> Document:
        cursor_id = command["getMore"]
        size = command.get("batchSize")
        batch = list(islice(self._cursors[cursor_id], size))
        if len(batch) != size:
            del self._cursors[cursor_id]
            cursor_id = 0
        name = command["collection"]
        return _cursor(command, name, batch, cursor_id=cursor_id, batch="nextBatch")

    def _kill_cursors(self, command: Document) -> Document:
        for cursor_id in command["cursors"]:
            self._cursors.pop(cursor_id, None)
        return {}

    def _aggregate(self, command: Document) -> Document:
        """Count what fits, the one thing that is asked for."""
        name = command["aggregate"]
        match, group = command["pipeline"]
        count = sum(1 for _ in self._collections[name].find(match["$match"]))
        (counted,) = (field for field in group["$group"] if field != "_id")
        counts = [{"_id": group["$group"]["_id"], counted: count}] if count else []
        return _cursor(command, name, counts)

    def _create_indexes(self, command: Document) -> Document:
        collection = self._collections[command["createIndexes"]]
        collection.indexes |= {index["name"]: index for index in command["indexes"]}
        return {}

    def _list_indexes(self, command: Document) -> Document:
        name = command["listIndexes"]
        indexes = self._collections[name].indexes
        listed = [{"v": 2, **index, "name": each} for each, index in indexes.items()]
        return _cursor(command, name, listed)

    def _drop(self, command: Document) -> Document:
        self._collections[command["drop"]] = Collection()
        return {}


def _fine(_command: Document) -> Document:
    return {}


def _error(code: int, name: str, said: str) -> Document:
    sys.stderr.write(f"{said}\n")
    return {"ok": 0.0, "code": code, "codeName": name, "errmsg": said}


def _cursor(
    command: Document,
    name: str,
    documents: list[Document],
    *,
    cursor_id: int = 0,
    batch: str = "firstBatch",
) -> Document:
    space = f"{command.get('$db', 'test')}.{name}"
    # A plain number would go out as 32 bits where the driver wants 64.
    return {"cursor": {"id": Int64(cursor_id), "ns": space, batch: documents}}


def _projected(
    documents: Iterable[Document], projection: Mapping[str, int]
) -> Iterator[Document]:
    if not projection:
        return iter(documents)
    named = set(projection)
    if any(projection[name] for name in named - {"_id"} or named):
        kept = (named | {"_id"}) - {n for n in named if not projection[n]}
        return ({k: v for k, v in d.items() if k in kept} for d in documents)
    return ({k: v for k, v in d.items() if k not in named} for d in documents)


class Driver(Connection):
    """One driver's connection."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def length_of(self, read: bytearray) -> int | None:
        """Return how long the first message is, if it is there."""
        if len(read) < _HEAD.size:
            return None
        length: int = _HEAD.unpack_from(read)[0]
        return length if length <= len(read) else None

    def answer(self, request: bytes) -> None:
        """Answer a message, unless it wants none."""
        _, request_id, _, operation = _HEAD.unpack_from(request)
        reply = self._answer(request_id, operation, request[_HEAD.size :])
        if reply is not None:
            self.write(reply)

    def _answer(self, request_id: int, operation: int, request: bytes) -> bytes | None:
        if operation == OP_QUERY:
            reply = bson.encode(self._store.do(_greeting(request)))
            body = struct.pack("<iqii", 8, 0, 0, 1) + reply
            return _framed(body, request_id, OP_REPLY)
        (flags,) = struct.unpack_from("<I", request)
        reply = bson.encode(self._store.do(command_of(request)))
        if flags & _MORE_TO_COME:
            return None
        return _framed(b"\0\0\0\0\0" + reply, request_id, OP_MSG)


def _framed(body: bytes, request_id: int, operation: int) -> bytes:
    return _HEAD.pack(_HEAD.size + len(body), 1, request_id, operation) + body


def _greeting(request: bytes) -> Document:
    start = request.index(b"\0", 4) + 1 + 8
    return bson.decode(request[start:])


def command_of(request: bytes) -> Document:
    """Return the command of an OP_MSG, given what follows its header.

    Its documents may stand in sections of their own.
    """
    (flags,) = struct.unpack_from("<I", request)
    end = len(request) - (4 if flags & _CHECKSUM else 0)
    command: Document = {}
    sequences: dict[str, Any] = {}
    at = 4
    while at < end:
        kind, (size,) = request[at], struct.unpack_from("<i", request, at + 1)
        section = request[at + 1 : at + 1 + size]
        at += 1 + size
        if kind == 0:
            command = bson.decode(section)
        else:
            name_end = section.index(b"\0", 4)
            name = section[4:name_end].decode()
            sequences[name] = bson.decode_all(section[name_end + 1 :])
    return command | sequences


async def serve(port: int) -> None:
    """Serve on a port of the loopback interface until the process ends."""
    store = Store(port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Driver(store), HOST, port)
    # Documents refer to nothing that refers back: collecting would only take time.
    gc.disable()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
