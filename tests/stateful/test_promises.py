"""Any order of events, over the real services: no promise is broken."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.scale import IS_FULL, scaled
from tests.stateful.machine import Postroom

SETTINGS = settings(
    max_examples=scaled(suite=1000, full=3000),
    stateful_step_count=scaled(suite=50, full=80),
    deadline=None,
    derandomize=not IS_FULL,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_no_order_of_events_breaks_a_promise() -> None:
    run_state_machine_as_test(Postroom, settings=SETTINGS)
