"""What clients ask for: emails, and the requests that carry them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.chaos.cases import AT_MOST_ONCE
from tests.fake_provider import digest_of

#: Of the emails, how many are for later, and for an address that is refused.
SCHEDULED, REFUSED = 0.15, 0.03

#: How far ahead those for later are, in seconds.
AHEAD_S = (1.5, 6.0)

#: Whom the provider refuses for good.
REFUSED_ADDRESS = "nobody@example.com"

#: Of the requests, how many have a key, and of these, how many are batches.
KEYED, BATCHED = 0.5, 0.1

#: How many emails a batch has.
IN_BATCH = (2, 8)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST, however often it is made.

    Attributes:
        wishes: One, or those of a batch.
        key: Its ``Idempotency-Key``.
    """

    wishes: tuple[Wish, ...]
    key: str | None = None

    @property
    def is_batch(self) -> bool:
        return len(self.wishes) > 1

    @property
    def path(self) -> str:
        return "/api/emails/batch" if self.is_batch else "/api/emails"

    @property
    def body(self) -> object:
        bodies = [wish.body for wish in self.wishes]
        return bodies if self.is_batch else bodies[0]

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.key is None else {"Idempotency-Key": self.key}

    def ids_of(self, answer: Any) -> list[str | None]:
        """Return the id that each wish was told: of what is stored, or may be."""
        nobody: list[str | None] = [None] * len(self.wishes)
        if not isinstance(answer, dict):
            return nobody
        if self.is_batch:
            told = answer.get("ids") or [one["id"] for one in answer.get("data", ())]
            return list(told) if len(told) == len(self.wishes) else nobody
        return [answer.get("id")]


@dataclass(kw_only=True)
class Wishes:
    """Draws them; no two are the same.

    Attributes:
        until: No email is for later than this, in epoch seconds.
        has_keys: Whether some requests have keys, and some are batches.
    """

    seed: int
    until: float
    has_keys: bool = True
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, draw: random.Random, *, most: int = IN_BATCH[1]) -> Request:
        """Return a request with any kind of email, and at most so many of them."""
        if not self.has_keys or draw.random() >= KEYED:
            return Request(wishes=(self.wish(draw),))
        is_batch = most >= IN_BATCH[0] and draw.random() < BATCHED
        count = draw.randint(IN_BATCH[0], most) if is_batch else 1
        return self.keyed(tuple(self.wish(draw) for _ in range(count)))

    def keyed(self, wishes: tuple[Wish, ...]) -> Request:
        return Request(wishes=wishes, key=f"seed {self.seed} no. {wishes[0].no}")

    def wish(self, draw: random.Random, *, at_once: bool = False) -> Wish:
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
