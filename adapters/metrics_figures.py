"""What all processes say alike: how email stands, and how the providers do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..domain.conservation import Account, Condition, Group, Position
from ..domain.errors import ClockUnsureError, StoreError
from ..domain.routing import BreakerState

#: How long what was read is shown again, in seconds, so that many scrapes cost no more
#: than one; and how many times as long as it took to read it.
KEPT_S = 10.0
KEPT_TIMES = 20.0


class Figures(Collector):
    """Gauges read from the stores, the same in each process that is asked."""

    def __init__(
        self,
        audit: Callable[[], Position],
        breakers: Callable[[], Mapping[str, BreakerState]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read when first asked.

        Args:
            audit: Returns how email stands; it is bounded in time.
            breakers: Returns the state of each provider's breaker. Never raises.
            monotonic: Seconds that only move on.
        """
        self._audit = audit
        self._breakers = breakers
        self._monotonic = monotonic
        self._lock = Lock()
        self._kept: tuple[Metric, ...] = ()
        self._kept_until: float | None = None

    def collect(self) -> Iterable[Metric]:
        """Return the gauges, as read now or a moment ago.

        With the store away only its being away is told, and what does not need it.
        """
        with self._lock:
            began = self._monotonic()
            if self._kept_until is None or began >= self._kept_until:
                self._kept = tuple(self._read())
                ended = self._monotonic()
                self._kept_until = ended + max(KEPT_S, KEPT_TIMES * (ended - began))
            return self._kept

    def _read(self) -> Iterator[Metric]:
        yield _breakers(self._breakers())
        try:
            position = self._audit()
        except (StoreError, ClockUnsureError):
            yield _up(is_up=False)
            return
        yield _up(is_up=True)
        if position.oldest_due is not None:
            yield GaugeMetricFamily(
                "postroom_oldest_open_due_seconds",
                "For how long the most overdue open email has been due.",
                value=position.oldest_due.total_seconds(),
            )
        if position.groups is not None:
            yield from _unsettled(position.groups)
        if position.accounts is not None:
            yield from _accounts(position.accounts)


def _up(*, is_up: bool) -> Metric:
    return GaugeMetricFamily(
        "postroom_store_up", "Whether MongoDB could be read.", value=float(is_up)
    )


def _breakers(states: Mapping[str, BreakerState]) -> Metric:
    metric = GaugeMetricFamily(
        "postroom_breaker_state",
        "1 for the state that a provider's breaker is in.",
        labels=("provider", "state"),
    )
    for provider, current in states.items():
        for state in BreakerState:
            metric.add_metric((provider, state.value), float(state is current))
    return metric


def _unsettled(groups: Iterable[Group]) -> Iterator[Metric]:
    """Give what is not final, of any age; held and astray email apart."""
    counts: Counter[str] = Counter()
    for group in groups:
        is_open = group.condition is Condition.OPEN
        counts[group.state if is_open else group.condition.value] += group.count
    names = ("scheduled", "queued", "sending", "unknown", "held", "astray")
    metric = GaugeMetricFamily(
        "postroom_emails",
        "Emails that are not final, by state; held and astray ones apart.",
        labels=("state",),
    )
    for name in dict.fromkeys((*names, *sorted(counts))):
        metric.add_metric((name,), counts[name])
    yield metric
    yield GaugeMetricFamily(
        "postroom_held_emails",
        "Emails that wait for an operator.",
        value=counts[Condition.HELD.value],
    )
    yield GaugeMetricFamily(
        "postroom_astray_emails",
        "Emails that nothing will ever look at again.",
        value=counts[Condition.ASTRAY.value],
    )


def _accounts(accounts: Iterable[Account]) -> Iterator[Metric]:
    emails = GaugeMetricFamily(
        "postroom_conservation_emails",
        "Emails accepted in an hour, and where they are.",
        labels=("hour", "part"),
    )
    gap = GaugeMetricFamily(
        "postroom_conservation_gap",
        "Emails accepted in an hour that are missing or astray.",
        labels=("hour",),
    )
    parts = ("accepted", "final", "open", "held", "astray", "missing", "uncounted")
    for account in accounts:
        hour = f"{account.hour:%Y-%m-%dT%HZ}"
        for part in parts:
            emails.add_metric((hour, part), getattr(account, part))
        gap.add_metric((hour,), account.gap)
    yield emails
    yield gap
