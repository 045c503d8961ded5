"""What the proofs count, each from the outside: writes, messages and calls.

Nothing of the service takes part in the counting: MongoDB tells of each write by a
change stream, Redis of each message by MONITOR, the fake provider of each call.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.collection import Collection

from postroom.adapters.settings import Settings
from postroom.adapters.wiring import Parts, build
from tests.e2e.service import PATIENCE_S, Service

#: A message that is written into a queue, as MONITOR shows it: from Dramatiq's script,
#: with the quotes of its JSON escaped. A queue's own `.DQ` holds what is delayed, which
#: is written into the queue itself when its time has come.
_ENQUEUED = re.compile(
    rb'^\+(?P<at>\d+\.\d+) \[\d+ lua\] "hset" "dramatiq:(?P<queue>[a-z.]+)\.msgs"'
    rb'.*?email_id\\": ?\\"(?P<email_id>[0-9a-f]{24})\\"',
    re.IGNORECASE,
)


@contextlib.contextmanager
def emails_of(service: Service) -> Iterator[Collection[dict[str, Any]]]:
    """Give the service's emails as they are stored."""
    with MongoClient[dict[str, Any]](service.mongodb.url) as client:
        yield client.get_default_database("postroom")["emails"]


@contextlib.contextmanager
def parts_of(service: Service) -> Iterator[Parts]:
    """Give the parts that a command of the service's operator would have."""
    with contextlib.closing(build(Settings.from_env(service.environ))) as parts:
        yield parts


class StoreWrites:
    """Counts the writes to each email, from `with` to its end."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self._watching = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._watching.wait(PATIENCE_S), "no change stream"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def of(self, email_id: str) -> int:
        """Return how often an email was written to, its insert not counted."""
        return self._counts[email_id]

    def _run(self) -> None:
        with (
            emails_of(self._service) as emails,
            emails.watch(max_await_time_ms=200) as stream,
        ):
            self._watching.set()
            while True:
                change = stream.try_next()
                if change is None:
                    if self._stop.is_set():
                        return  # only when it has told of everything
                elif change["operationType"] in {"update", "replace"}:
                    self._counts[str(change["documentKey"]["_id"])] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """One message about one email that came into one queue.

    Attributes:
        at: By Redis's clock, in epoch seconds.
    """

    queue: str
    email_id: str
    at: float


class Messages:
    """Notes each message that names an email, from `with` to its end."""

    def __init__(self, service: Service) -> None:
        url = urlsplit(service.redis.url)
        self.seen: list[Enqueued] = []
        self._socket = socket.create_connection((url.hostname, url.port))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(5) == b"+OK\r\n"
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._socket.close()

    def to(self, queue: str) -> list[Enqueued]:
        """Return what came into a queue: also those of its other priorities."""
        names = {queue, f"{queue}.high", f"{queue}.low"}
        return [message for message in list(self.seen) if message.queue in names]

    def _run(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                if found := _ENQUEUED.match(line):
                    self.seen.append(
                        Enqueued(
                            queue=found["queue"].decode(),
                            email_id=found["email_id"].decode(),
                            at=float(found["at"]),
                        )
                    )


def post_many(
    service: Service, count: int, *, per_s: float | None = None, **fields: Any
) -> list[str]:
    """POST emails, from several clients at once or at a pace; return their ids."""
    if per_s is None:
        with ThreadPoolExecutor(4) as clients:
            return list(clients.map(lambda _: service.accept(**fields), range(count)))
    ids = []
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        ids.append(service.accept(**fields))
    return ids


def wait_until_all_are(
    service: Service, ids: Iterable[str], state: str, *, patience_s: float = PATIENCE_S
) -> None:
    """Wait for many emails at once, by what is stored."""
    wanted = set(ids)

    def others() -> Counter[str]:
        found = emails.find({"state": {"$ne": state}}, {"state": 1})
        return Counter(one["state"] for one in found if str(one["_id"]) in wanted)

    def are_there() -> bool:
        began = time.monotonic()
        if not others():
            return True
        time.sleep(10 * (time.monotonic() - began))  # a look is not to be the load
        return False

    with emails_of(service) as emails:
        service.wait_until(
            are_there,
            lambda: f"{len(wanted)} {state}: {dict(others())}",
            patience_s=patience_s,
        )


def busiest_second(times: Iterable[float]) -> int:
    """Return the most that happened within any second, wherever it begins."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most
