"""Canaries: what must be seen nowhere, and the search for it in every disguise."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

import bson
import redis
from pymongo import MongoClient

#: A part of every canary: whoever sings, one search finds it.
SONG = "canary7f3a"


def canary(where: str) -> str:
    """Return a canary for a place; its name tells which one got out."""
    return f"{SONG}{where}"


def address(where: str) -> str:
    return f"{canary(where)}@{SONG}.example"


def disguises(text: str) -> set[bytes]:
    """Return a text as it looks in JSON, URLs, hex, and within base64 at any place."""
    raw = text.encode()
    found = {raw, quote(text).encode(), quote_plus(text).encode(), raw.hex().encode()}
    found.add(json.dumps(text)[1:-1].encode())
    for offset in range(3):
        # The first and the last letters depend on what stands beside.
        whole = base64.b64encode(b"\0" * offset + raw)
        found.add(whole[4 if offset else 0 : len(whole) // 4 * 4 - 4])
    return found


def needles(*words: str) -> frozenset[bytes]:
    """Return what to look for, in small letters, to find these in any disguise."""
    return frozenset(one.lower() for word in words for one in disguises(word))


_ANY = needles(SONG)


def sung(data: bytes, wanted: frozenset[bytes] = _ANY) -> list[bytes]:
    """Return where a canary is in it, or else what is wanted, and what is around."""
    small = data.lower()
    return [
        data[max(0, found.start() - 200) : found.end() + 60]
        for one in wanted
        # One by one: of many at once the search is slow.
        for found in re.finditer(re.escape(one), small)
    ]


@dataclass
class Listening:
    """Hears every command that a Redis gets, also those inside of scripts."""

    url: str
    said: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._client = redis.Redis.from_url(self.url)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        with self._client.monitor() as monitor:
            self._ready.set()
            while not self._stop.is_set():
                try:
                    # A Redis that is idle says nothing: to wait for it in vain with
                    # a timeout would end the connection.
                    if not monitor.connection.can_read(timeout=0.2):
                        continue
                    said = monitor.next_command()
                except redis.exceptions.ConnectionError:
                    return
                self.said.append(said["command"].encode("utf-8", "replace"))


def all_of(url: str) -> dict[str, bytes]:
    """Return every key of a Redis with all that it holds."""
    with redis.Redis.from_url(url) as client:
        return {
            key.decode(errors="replace"): key + repr(_value(client, key)).encode()
            for key in client.scan_iter(count=1000)
        }


def stored(url: str) -> Iterator[tuple[str, bytes]]:
    """Give every document of a MongoDB, by the name of its collection.

    Left out is the server's own: its log of operations holds them until it is full.
    """
    with MongoClient[dict[str, Any]](url) as client:
        for name in {*client.list_database_names()} - {"local"}:
            for collection in client[name].list_collection_names():
                for document in client[name][collection].find():
                    yield collection, bson.encode(document)


def _value(client: redis.Redis, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case _:
            return client.get(key)
