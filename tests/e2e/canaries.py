"""Canaries: what must be seen nowhere, and the search for it in every disguise."""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

import redis

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


_NEEDLES = re.compile(
    b"|".join(re.escape(one) for one in disguises(SONG)), re.IGNORECASE
)


def sung(data: bytes) -> list[bytes]:
    """Return where a canary is in it, with what stands around."""
    return [
        data[max(0, found.start() - 200) : found.end() + 60]
        for found in _NEEDLES.finditer(data)
    ]


@dataclass
class Listening:
    """Hears every command that a Redis gets, also those inside of scripts."""

    url: str
    heard: list[bytes] = field(default_factory=list)
    commands: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._client = redis.Redis.from_url(self.url, socket_timeout=0.5)
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
                    said = monitor.next_command()
                except redis.exceptions.TimeoutError:
                    continue
                except redis.exceptions.ConnectionError:
                    return
                self.commands += 1
                self.heard += sung(said["command"].encode("utf-8", "replace"))


def all_of(url: str) -> dict[str, bytes]:
    """Return every key of a Redis with all that it holds."""
    with redis.Redis.from_url(url) as client:
        return {
            key.decode(errors="replace"): key + repr(_value(client, key)).encode()
            for key in client.scan_iter(count=1000)
        }


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
