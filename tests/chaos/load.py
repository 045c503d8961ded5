"""The clients: they POST at a steady rate and note what they were answered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.asking import ask
from tests.chaos.evidence import Ledger, Post
from tests.chaos.repeats import Repeats
from tests.chaos.wishes import Request, Wish, Wishes
from tests.e2e.service import PATIENCE_S, Service

CLIENTS = 8

#: Emails a second, of all clients; repeated requests come on top.
RATE = 14.0


@dataclass(kw_only=True)
class Load:
    """Steady POSTs from `with` to its end.

    Attributes:
        told: Called once with every wish that was accepted, and its id.
        until: No email is for later than this, in epoch seconds.
        has_keys: Whether some requests have keys, are repeated, and are batches.
    """

    service: Service
    folder: Path
    seed: int
    told: Callable[[Wish, str], None]
    until: float
    rate: float = RATE
    has_keys: bool = True
    _accepted: set[int] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.folder, "posts")
        self._wishes = Wishes(seed=self.seed, until=self.until, has_keys=self.has_keys)
        self._repeats = Repeats(self._post, seed=self.seed)

    def __enter__(self) -> Self:
        for client in range(CLIENTS if self.rate else 0):
            thread = threading.Thread(target=self._run, args=(client,))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._repeats.stop()

    def close(self) -> None:
        """Nothing is asked for any more."""
        self._ledger.close()

    def burst(self, count: int) -> None:
        """POST so many emails at once, none of them for later."""
        draw = random.Random(f"{self.seed} burst {count}")  # noqa: S311 - a test's
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._first, self._at_once(draw, count)))

    def ask_again(self) -> None:
        """Repeat requests that were accepted, now that all is quiet."""
        self._repeats.all_again()

    def _at_once(self, draw: random.Random, count: int) -> Iterator[Request]:
        """Give requests with so many emails; the half of them in batches."""
        wishes = [self._wishes.wish(draw, at_once=True) for _ in range(count)]
        half = len(wishes) // 2 if self.has_keys else 0
        together, alone = wishes[:half], wishes[half:]
        while together:
            size = draw.randint(10, 20)
            yield self._wishes.keyed(tuple(together[:size]))
            together = together[size:]
        for wish in alone:
            yield Request(wishes=(wish,))

    def _run(self, client: int) -> None:
        draw = random.Random(f"{self.seed} client {client}")  # noqa: S311 - a test's
        period = CLIENTS / self.rate
        following = time.monotonic() + draw.uniform(0, period)
        while not self._stop.wait(max(0.0, following - time.monotonic())):
            request = self._wishes.request(draw)
            # Whoever had to wait for an answer does not make up for it.
            began = max(following, time.monotonic())
            following = began + period * len(request.wishes)
            self._first(request)

    def _first(self, request: Request) -> None:
        """Make a request for the first time; one with a key may come again."""
        if request.key is None:
            self._post(request)
        else:
            self._repeats.begin(request)

    def _post(self, request: Request) -> bool:
        """Make a request, and return whether it was accepted."""
        asked_at = time.time()
        status, answer = ask(
            self.service, "POST", request.path, request.body, request.headers
        )
        seconds = time.time() - asked_at
        said = str(answer.get("name", "")) if isinstance(answer, dict) else ""
        ids = request.ids_of(answer)
        posts = [
            Post(
                no=wish.no,
                delivery=wish.delivery,
                digest=wish.digest,
                scheduled_at=wish.scheduled_at,
                asked_at=asked_at,
                status=status,
                email_id=email_id,
                seconds=seconds,
                key=request.key,
                said=said,
            )
            for wish, email_id in zip(request.wishes, ids, strict=True)
        ]
        self._ledger.add(*posts)
        for wish, post in zip(request.wishes, posts, strict=True):
            self._tell(wish, post)
        return all(post.is_accepted for post in posts)

    def _tell(self, wish: Wish, post: Post) -> None:
        if post.email_id is None or not post.is_accepted:
            return
        with self._lock:
            is_new = wish.no not in self._accepted
            self._accepted.add(wish.no)
        if is_new:
            self.told(wish, post.email_id)
