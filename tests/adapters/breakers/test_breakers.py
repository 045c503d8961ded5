"""What stays pybreaker's, and what of pybreaker must not happen here."""

import threading
from datetime import timedelta

import pybreaker
import pytest

from postroom.adapters.breaker_facts import Rules
from postroom.adapters.breaker_memory import LeasedMemoryStorage
from postroom.adapters.breakers import SharedBreaker
from tests.adapters.breakers.parts import (
    FAIL_MAX,
    RESET,
    TIMEOUT,
    WINDOW,
    MovableClock,
    at_once,
)


class Heard(pybreaker.CircuitBreakerListener):
    def __init__(self) -> None:
        self.changes: list[str] = []

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        self.changes.append(new_state.name)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def breaker(clock: MovableClock) -> SharedBreaker:
    rules = Rules.of(fail_max=FAIL_MAX, reset=RESET, window=WINDOW, timeout=TIMEOUT)
    return SharedBreaker(LeasedMemoryStorage("alpha", rules, clock=clock))


def fail() -> None:
    raise OSError


def fail_often(breaker: SharedBreaker) -> None:
    for _ in range(FAIL_MAX):
        with pytest.raises(OSError):
            breaker.call(fail)


def test_calls_of_one_breaker_run_side_by_side(breaker: SharedBreaker) -> None:
    """Stock pybreaker holds a lock during the call: this barrier would break."""
    all_inside = threading.Barrier(8)

    at_once(*[lambda: breaker.call(all_inside.wait, 30)] * 8)

    assert breaker.current_state == pybreaker.STATE_CLOSED


def test_open_breaker_raises_pybreakers_own_error(breaker: SharedBreaker) -> None:
    fail_often(breaker)

    assert breaker.current_state == pybreaker.STATE_OPEN
    assert breaker.fail_counter == FAIL_MAX
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(fail)


def test_good_call_after_the_wait_closes(
    breaker: SharedBreaker, clock: MovableClock
) -> None:
    fail_often(breaker)
    clock.advance(RESET)

    assert breaker.call(lambda: "done") == "done"

    assert breaker.current_state == pybreaker.STATE_CLOSED


def test_interrupts_say_nothing_about_the_provider(breaker: SharedBreaker) -> None:
    """Stock pybreaker opens after enough of them."""
    for _ in range(3 * FAIL_MAX):
        with pytest.raises(KeyboardInterrupt), breaker.calling():
            raise KeyboardInterrupt

    assert breaker.current_state == pybreaker.STATE_CLOSED
    assert breaker.storage.facts.calls == 0


def test_excluded_errors_are_neutral_and_no_successes(breaker: SharedBreaker) -> None:
    """Stock pybreaker forgets all failures at one of them."""
    breaker.add_excluded_exception(ValueError)
    for _ in range(FAIL_MAX - 1):
        with pytest.raises(OSError):
            breaker.call(fail)
        with pytest.raises(ValueError), breaker.calling():
            raise ValueError

    with pytest.raises(OSError):
        breaker.call(fail)

    assert breaker.current_state == pybreaker.STATE_OPEN


def test_listeners_hear_each_change_once(
    breaker: SharedBreaker, clock: MovableClock
) -> None:
    heard = Heard()
    breaker.add_listener(heard)

    fail_often(breaker)
    at_once(*[breaker.notice] * 8)
    clock.advance(RESET)
    breaker.call(lambda: None)

    assert heard.changes == ["open", "half-open", "closed"]


def test_pybreakers_own_verbs_are_the_operators(breaker: SharedBreaker) -> None:
    breaker.open()
    opened = breaker.storage.facts
    breaker.close()

    assert opened.wait_ms == RESET // timedelta(milliseconds=1)
    assert breaker.current_state == pybreaker.STATE_CLOSED
    assert breaker.success_counter == 0
    assert breaker.storage.opened_at is None


def test_nobody_makes_it_half_open_by_hand(breaker: SharedBreaker) -> None:
    with pytest.raises(ValueError, match="only a probe"):
        breaker.half_open()
