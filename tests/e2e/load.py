"""Clients that POST one email after another, and what came of it."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
from collections import Counter
from types import TracebackType
from typing import Any, Self

from tests.e2e.service import PATIENCE_S, Service
from tests.fake_provider import AsProcess


class Load:
    """Steady POSTs from several clients at once, from `with` to its end.

    Attributes:
        accepted: The id of every email that was answered with 201.
        answers: How often there was which status, or which fault of a connection.
        slowest_s: The longest that a client waited for a 201.
    """

    def __init__(
        self,
        service: Service,
        *,
        clients: int = 4,
        pause_s: float = 0.05,
        **fields: Any,
    ) -> None:
        self.accepted: list[str] = []
        self.answers: Counter[int | str] = Counter()
        self.slowest_s = 0.0
        self._service = service
        self._pause_s = pause_s
        self._fields = fields
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
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

    def wait_for(self, count: int) -> None:
        """Wait until so many more emails were accepted."""
        wanted = len(self.accepted) + count
        self._service.wait_until(
            lambda: len(self.accepted) >= wanted,
            lambda: f"{wanted} accepted, answers so far {dict(self.answers)}",
        )

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            began = time.monotonic()
            answer, email_id = self._post()
            with self._lock:
                self.answers[answer] += 1
                if email_id is not None:
                    self.accepted.append(email_id)
                    took = time.monotonic() - began
                    self.slowest_s = max(self.slowest_s, took)

    def _post(self) -> tuple[int | str, str | None]:
        try:
            answer = self._service.post(**self._fields)
        except urllib.error.URLError as ex:
            return type(ex.reason).__name__, None
        except (OSError, http.client.HTTPException) as ex:
            return type(ex).__name__, None
        return answer.status, answer.body["id"] if answer.status == 201 else None


def sends(fake: AsProcess) -> Counter[str]:
    """Return how often the fake accepted each email."""
    return Counter(taken["email_id"] for taken in fake.taken)
