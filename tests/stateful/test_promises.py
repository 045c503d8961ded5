"""Any order of events, over the real services: no promise is broken."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.scale import IS_FULL, scaled
from tests.stateful.machine import Postroom
from tests.stateful.mutants import MUTANTS

SETTINGS = settings(
    max_examples=scaled(suite=1000, full=10_000),
    stateful_step_count=scaled(suite=50, full=80),
    deadline=None,
    derandomize=not IS_FULL,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

#: More of the same stories: the first that finds a mutant out ends the search, and how
#: threads meet is not the same in every run.
SEARCH = settings(
    SETTINGS, max_examples=8000, derandomize=True, phases=[Phase.generate]
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log nothing: a story has thousands of lines, and nobody reads them."""
    logging.disable(logging.CRITICAL)
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)
    yield
    structlog.reset_defaults()
    logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_no_order_of_events_breaks_a_promise() -> None:
    run_state_machine_as_test(Postroom, settings=SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the stories are too tame. Threads may let one fail only now and then."""
    MUTANTS[name](monkeypatch)

    with pytest.raises((AssertionError, Flaky)):
        run_state_machine_as_test(Postroom, settings=SEARCH)
