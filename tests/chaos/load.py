"""The clients: they POST at a steady rate and note what they were answered."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
import urllib.error
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.chaos.cases import AT_MOST_ONCE
from tests.chaos.evidence import Ledger, Post
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_provider import digest_of

CLIENTS = 8

#: Emails a second, of all clients.
RATE = 14.0

#: Of the emails, how many are for later, and for an address that is refused.
SCHEDULED, REFUSED = 0.15, 0.03

#: How far ahead those for later are, in seconds.
AHEAD_S = (1.5, 6.0)

#: Whom the provider refuses for good.
REFUSED_ADDRESS = "nobody@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client asks for."""

    no: int
    delivery: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str | None
    scheduled_at: float | None

    @property
    def digest(self) -> str:
        return digest_of(self.to, self.subject, self.text, self.html)

    @property
    def body(self) -> Mapping[str, Any]:
        body: dict[str, Any] = {
            "to": list(self.to),
            "subject": self.subject,
            "text": self.text,
            "delivery": self.delivery,
        }
        if self.html is not None:
            body["html"] = self.html
        if self.scheduled_at is not None:
            at = datetime.fromtimestamp(self.scheduled_at, UTC)
            body["scheduled_at"] = at.isoformat(timespec="milliseconds")
        return body

    @property
    def is_refused(self) -> bool:
        return REFUSED_ADDRESS in self.to


@dataclass(kw_only=True)
class Load:
    """Steady POSTs from `with` to its end.

    Attributes:
        told: Called with every wish that was answered with 201, and its id.
        until: No email is for later than this, in epoch seconds.
    """

    service: Service
    folder: Path
    seed: int
    told: Callable[[Wish, str], None]
    until: float
    rate: float = RATE
    accepted: int = 0
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._ledger = Ledger(self.folder, "posts")
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
        self._ledger.close()

    def burst(self, count: int) -> None:
        """POST so many at once, none of them for later."""
        draw = random.Random(f"{self.seed} burst {count}")  # noqa: S311 - a test's
        with ThreadPoolExecutor(CLIENTS) as clients:
            wishes = [self._wish(draw, at_once=True) for _ in range(count)]
            list(clients.map(self._post, wishes))

    def _run(self, client: int) -> None:
        draw = random.Random(f"{self.seed} client {client}")  # noqa: S311 - a test's
        period = CLIENTS / self.rate
        following = time.monotonic() + draw.uniform(0, period)
        while not self._stop.wait(max(0.0, following - time.monotonic())):
            # Whoever had to wait for an answer does not make up for it.
            following = max(following + period, time.monotonic())
            self._post(self._wish(draw))

    def _wish(self, draw: random.Random, *, at_once: bool = False) -> Wish:
        no = next(self._numbers)
        to = [f"reader-{no}@example.com"]
        if draw.random() < 0.1:
            to.append(f"second-{no}@example.com")
        if not at_once and draw.random() < REFUSED:
            to = [REFUSED_ADDRESS]
        at = None
        if not at_once and draw.random() < SCHEDULED:
            at = round(time.time() + draw.uniform(*AHEAD_S), 3)
        return Wish(
            no=no,
            delivery=AT_MOST_ONCE if no % 2 else "at_least_once",
            to=tuple(to),
            subject=f"seed {self.seed} no. {no}",
            text=f"Hello, number {no}",
            html=f"<p>Hello, number {no}</p>" if draw.random() < 0.2 else None,
            scheduled_at=at if at is not None and at < self.until else None,
        )

    def _post(self, wish: Wish) -> None:
        asked_at = time.time()
        status, email_id = self._answer(wish)
        post = Post(
            no=wish.no,
            delivery=wish.delivery,
            digest=wish.digest,
            scheduled_at=wish.scheduled_at,
            asked_at=asked_at,
            status=status,
            email_id=email_id,
            seconds=time.time() - asked_at,
        )
        self._ledger.add(post)
        if email_id is not None and status == 201:
            with self._lock:
                self.accepted += 1
            self.told(wish, email_id)

    def _answer(self, wish: Wish) -> tuple[int | str, str | None]:
        try:
            answer = self.service.request("POST", "/api/emails", wish.body)
        except urllib.error.URLError as ex:
            return type(ex.reason).__name__, None
        except (OSError, http.client.HTTPException) as ex:
            return type(ex).__name__, None
        is_read = isinstance(answer.body, dict)
        return answer.status, answer.body.get("id") if is_read else None
