"""The counters of a process: what its log events say, added up for Prometheus.

Each counter is the number of lines of one event in the log, so there is one place that
says what happened, and the two cannot disagree. No label holds an address, an id or a
subject, and each has few values; the rest is ``other``.

Several processes behind one port share their counters in a folder, which the library
reads from ``PROMETHEUS_MULTIPROC_DIR`` when it is first imported.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

Event = Mapping[str, Any]

#: Bounds of the times of requests and of calls to providers, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

#: Most values that a label takes from what others say.
MOST_WORDS = 32

OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Words:
    """Keeps the values of a label few."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def of(self, value: object) -> str:
        """Return the word itself, or ``other`` if it is none or there are too many."""
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            return OTHER
        if value not in self._known:
            if len(self._known) >= MOST_WORDS:
                return OTHER
            self._known.add(value)
        return value


class EventCounter(logging.Handler):
    """A handler of the root logger that counts events instead of writing them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)
        self._metrics = _Metrics(registry)

    def listen(self) -> None:
        """Count what this process logs from now on."""
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Count an event. Never raises: mail is worth more than a figure."""
        event = record.msg if isinstance(record.msg, dict) else record.__dict__
        name = event.get("event", record.msg)
        try:
            if count := self._metrics.by_event.get(name):
                count(event)
        except Exception:  # noqa: BLE001 - a newer release may log other fields
            return


class _Metrics:
    """The counters, and which event each is counted by."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(name, told, labels, registry=registry)

        def histogram(name: str, told: str, *labels: str) -> Histogram:
            return Histogram(name, told, labels, registry=registry, buckets=BUCKETS)

        self._causes = Words()
        self._requests = histogram(
            "postroom_http_request_seconds",
            "How long requests took.",
            *("method", "route", "status"),
        )
        self._attempts = counter(
            "postroom_attempts",
            "Calls to providers, by what came of them.",
            *("provider", "outcome"),
        )
        self._seconds = histogram(
            "postroom_attempt_seconds", "How long calls to providers took.", "provider"
        )
        self._unknown = counter(
            "postroom_unknown_attempts",
            "Attempts of which nobody knew what came of them, and why.",
            *("provider", "cause"),
        )
        self._possible = counter(
            "postroom_possible_duplicates",
            "Attempts begun while an earlier one of the email may be out.",
        )
        self._confirmed = counter(
            "postroom_confirmed_duplicates",
            "Emails that two providers, or one twice, accepted for a recipient.",
        )
        self._hints = counter(
            "postroom_hint_failures",
            "Hints that Redis did not take: the sweep offers these emails.",
        )
        self._offers = counter(
            "postroom_offers",
            "Emails that the sweep found: nobody had taken them in time.",
        )
        self._lost = counter(
            "postroom_claims_lost",
            "Claims that came too late: another worker had the email.",
        )
        self.by_event: Mapping[object, Callable[[Event], None]] = {
            "http.request": self._request,
            "email.attempted": self._attempt,
            "email.lapsed": self._lapse,
            "email.possible_duplicate": lambda _: self._possible.inc(),
            "email.confirmed_duplicate": lambda _: self._confirmed.inc(),
            "hint.failed": lambda _: self._hints.inc(),
            "claim.lost": lambda _: self._lost.inc(),
            "sweep.done": lambda event: self._offers.inc(event["offered"]),
        }

    def _request(self, event: Event) -> None:
        method = event["method"] if event["method"] in _METHODS else OTHER
        labels = (method, event["route"], f"{event['status']}")
        self._requests.labels(*labels).observe(event["duration_ms"] / 1000)

    def _attempt(self, event: Event) -> None:
        provider, outcome = event["provider"], event["outcome"]
        self._attempts.labels(provider, outcome).inc()
        self._seconds.labels(provider).observe(event["duration_ms"] / 1000)
        if outcome == "unknown":
            self._unknown.labels(provider, self._causes.of(event["code"])).inc()

    def _lapse(self, event: Event) -> None:
        self._unknown.labels(event["provider"], "lapsed").inc()
