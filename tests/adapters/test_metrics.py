"""What a process counts of its log, and what it shows of the stores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from postroom.adapters.metrics import MOST_WORDS, EventCounter
from postroom.adapters.metrics_figures import Figures
from postroom.adapters.metrics_page import MetricsPage
from postroom.domain.conservation import Account, Condition, Group, Position
from postroom.domain.errors import ClockUnsureError, StoreUnavailableError
from postroom.domain.routing import BreakerState
from tests.builders import NOW, seconds

services_log = logging.getLogger("postroom.services.settle")

#: As `services/settle.py` and `http/middleware.py` log them.
ATTEMPTED = {
    "email_id": "65f000000000000000000001",
    "attempt": 1,
    "provider": "alpha",
    "outcome": "accepted",
    "kind": None,
    "code": None,
    "duration_ms": 120,
    "state": "sent",
    "reason": None,
}
REQUESTED = {
    "request_id": "r1",
    "method": "POST",
    "route": "/api/emails",
    "status": 201,
    "error": None,
    "duration_ms": 7.5,
}

Shown = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def shown(text: str) -> Shown:
    """Return each sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(samples: Shown, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


class Told:
    """A counter that listens to this process's log, and what it has counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counter = EventCounter(self.registry)

    def of(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    told.counter.listen()
    yield told
    root.removeHandler(told.counter)
    root.setLevel(level)


@pytest.fixture
def ours() -> Iterator[Any]:
    """Give a logger of structlog as a process has it."""
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield structlog.get_logger("postroom.adapters")
    structlog.reset_defaults()


class TestCounters:
    def test_attempts_are_counted_by_provider_and_outcome(self, told: Told) -> None:
        for outcome in ("accepted", "accepted", "refused"):
            extra = ATTEMPTED | {"outcome": outcome}
            services_log.info("email.attempted", extra=extra)

        labels = {"provider": "alpha", "outcome": "accepted"}
        assert told.of("postroom_attempts_total", **labels) == 2
        assert told.of("postroom_attempt_seconds_count", provider="alpha") == 3
        spent = told.of("postroom_attempt_seconds_sum", provider="alpha")
        assert spent == pytest.approx(0.36)

    def test_unknown_attempts_are_counted_by_their_cause(self, told: Told) -> None:
        extra = ATTEMPTED | {"outcome": "unknown", "code": "timeout"}
        services_log.info("email.attempted", extra=extra)
        lapsed = {"email_id": "x", "attempt": 1, "provider": "alpha", "state": "queued"}
        services_log.warning("email.lapsed", extra=lapsed)

        name = "postroom_unknown_attempts_total"
        assert told.of(name, provider="alpha", cause="timeout") == 1
        assert told.of(name, provider="alpha", cause="lapsed") == 1

    def test_duplicates_and_lost_claims_are_counted(self, told: Told) -> None:
        for event in (
            "email.possible_duplicate",
            "email.possible_duplicate",
            "email.confirmed_duplicate",
            "claim.lost",
        ):
            services_log.warning(event, extra={"email_id": "x", "provider": "alpha"})

        assert told.of("postroom_possible_duplicates_total") == 2
        assert told.of("postroom_confirmed_duplicates_total") == 1
        assert told.of("postroom_claims_lost_total") == 1

    def test_events_of_structlog_are_counted_too(self, told: Told, ours: Any) -> None:
        ours.info("http.request", **REQUESTED)
        ours.info("sweep.done", offered=3, reconciled=1, expired=0)
        ours.info("hint.failed", queue="router")

        labels = {"method": "POST", "route": "/api/emails", "status": "201"}
        assert told.of("postroom_http_request_seconds_count", **labels) == 1
        assert told.of("postroom_offers_total") == 3
        assert told.of("postroom_hint_failures_total") == 1

    def test_a_method_that_somebody_made_up_makes_no_series(
        self, told: Told, ours: Any
    ) -> None:
        ours.info("http.request", **REQUESTED | {"method": "EVIL", "status": 400})

        labels = {"method": "other", "route": "/api/emails", "status": "400"}
        assert told.of("postroom_http_request_seconds_count", **labels) == 1

    def test_causes_stay_few_whatever_is_logged(self, told: Told) -> None:
        causes = [*(f"cause_{no}" for no in range(100)), "a@b.example", "", None]
        for cause in causes:
            extra = ATTEMPTED | {"outcome": "unknown", "code": cause}
            services_log.info("email.attempted", extra=extra)

        (metric,) = [
            m for m in told.registry.collect() if m.name == "postroom_unknown_attempts"
        ]
        named = {s.labels["cause"] for s in metric.samples}
        assert len(named) == MOST_WORDS + 1
        assert "other" in named
        assert not any("@" in cause for cause in named)

    def test_an_event_with_other_fields_harms_nobody(self, told: Told) -> None:
        services_log.info("email.attempted", extra={"email_id": "x"})
        services_log.info("email.attempted %s", "x")
        services_log.info(12)

        assert told.of("postroom_attempt_seconds_count", provider="alpha") is None

    def test_what_may_be_nought_is_shown_as_nought(self, told: Told) -> None:
        assert told.of("postroom_possible_duplicates_total") == 0
        assert told.of("postroom_confirmed_duplicates_total") == 0


def a_position(**given: Any) -> Position:
    account = Account(hour=NOW, accepted=9, final=4, open=2, held=1, astray=1)
    groups = (
        Group(hour=NOW, state="queued", condition=Condition.OPEN, count=2),
        Group(hour=NOW, state="digesting", condition=Condition.OPEN, count=1),
        Group(hour=NOW, state="unknown", condition=Condition.HELD, count=1),
        Group(hour=NOW, state="queued", condition=Condition.ASTRAY, count=1),
    )
    values = {"accounts": (account,), "groups": groups, "oldest_due": seconds(90)}
    return Position(**(values | given))


class Stores:
    """Stores that are asked, and how often."""

    def __init__(self) -> None:
        self.position: Position | Exception = a_position()
        self.asked = 0
        self.now = 0.0
        self.takes_s = 0.0
        self.figures = Figures(self.audit, self.breakers, monotonic=lambda: self.now)

    def audit(self) -> Position:
        self.asked += 1
        self.now += self.takes_s
        if isinstance(self.position, Exception):
            raise self.position
        return self.position

    def breakers(self) -> dict[str, BreakerState]:
        return {"alpha": BreakerState.OPEN}

    def show(self) -> Shown:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.figures.collect()
            for sample in family.samples
        }


@pytest.fixture
def stores() -> Stores:
    return Stores()


class TestFigures:
    def test_open_email_is_told_by_state_and_held_email_apart(
        self, stores: Stores
    ) -> None:
        samples = stores.show()

        told = {
            state: sample(samples, "postroom_emails", state=state)
            for state in ("queued", "sending", "unknown", "held", "astray", "digesting")
        }
        assert told == {
            "queued": 2,
            "sending": 0,
            "unknown": 0,
            "held": 1,
            "astray": 1,
            "digesting": 1,
        }
        assert sample(samples, "postroom_held_emails") == 1
        assert sample(samples, "postroom_astray_emails") == 1
        assert sample(samples, "postroom_oldest_open_due_seconds") == 90

    def test_the_accounts_are_told_by_the_hour(self, stores: Stores) -> None:
        samples = stores.show()

        hour = "2026-11-24T12Z"
        name = "postroom_conservation_emails"
        told = {
            part: sample(samples, name, hour=hour, part=part)
            for part in ("accepted", "final", "open", "held", "missing", "uncounted")
        }
        assert told == {
            "accepted": 9,
            "final": 4,
            "open": 2,
            "held": 1,
            "missing": 1,
            "uncounted": 0,
        }
        assert sample(samples, "postroom_conservation_gap", hour=hour) == 2

    def test_a_breaker_is_in_one_state(self, stores: Stores) -> None:
        samples = stores.show()

        states = {
            state.value: sample(
                samples, "postroom_breaker_state", provider="alpha", state=state.value
            )
            for state in BreakerState
        }
        assert states["open"] == 1
        assert sum(value or 0 for value in states.values()) == 1

    @pytest.mark.parametrize(
        "ex", [StoreUnavailableError("away"), ClockUnsureError("not seen")]
    )
    def test_without_the_store_the_rest_is_shown(
        self, stores: Stores, ex: Exception
    ) -> None:
        assert sample(stores.show(), "postroom_store_up") == 1
        stores.position = ex
        stores.now = 1000

        samples = stores.show()

        assert sample(samples, "postroom_store_up") == 0
        assert {name for name, _ in samples} == {
            "postroom_store_up",
            "postroom_breaker_state",
        }

    def test_what_could_not_be_read_in_time_is_not_made_up(
        self, stores: Stores
    ) -> None:
        stores.position = a_position(accounts=None, groups=None, oldest_due=None)

        samples = stores.show()

        assert sample(samples, "postroom_store_up") == 1
        names = {name for name, _ in samples}
        assert names == {"postroom_store_up", "postroom_breaker_state"}

    def test_a_storm_of_scrapes_reads_once(self, stores: Stores) -> None:
        for _ in range(100):
            stores.show()
            stores.now += 0.05

        assert stores.asked == 1

    def test_figures_are_read_again_after_a_while(self, stores: Stores) -> None:
        stores.show()
        stores.now += 11

        stores.show()

        assert stores.asked == 2

    def test_what_took_long_to_read_is_kept_for_longer(self, stores: Stores) -> None:
        stores.takes_s = 3
        stores.show()
        stores.now += 50

        stores.show()
        assert stores.asked == 1
        stores.now += 11
        stores.show()

        assert stores.asked == 2


class TestPage:
    def test_counters_and_figures_stand_on_one_page(self, stores: Stores) -> None:
        page = MetricsPage(stores.audit, stores.breakers)
        logging.getLogger().removeHandler(page.counter)

        text, content_type = page("")

        assert content_type.startswith("text/plain")
        samples = shown(text.decode())
        assert sample(samples, "postroom_store_up") == 1
        assert sample(samples, "postroom_offers_total") == 0

    def test_it_comes_in_the_form_that_is_asked_for(self, stores: Stores) -> None:
        page = MetricsPage(stores.audit, stores.breakers)
        logging.getLogger().removeHandler(page.counter)

        text, content_type = page("application/openmetrics-text; version=1.0.0")

        assert content_type.startswith("application/openmetrics-text")
        assert text.endswith(b"# EOF\n")
