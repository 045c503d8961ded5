"""How a process's threads are shared, and how long a surplus email waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.bulkhead import (
    LONGEST_TURN,
    SHORTEST_TURN,
    most_threads,
    turn,
)


@given(st.integers(2, 512), st.integers(2, 9))
def test_some_threads_are_left_for_the_others(threads: int, providers: int) -> None:
    most = most_threads(threads, providers=providers)

    assert most is not None
    assert 1 <= most < threads
    assert most <= threads * 0.75 or most == 1


@pytest.mark.parametrize(("threads", "providers"), [(32, 1), (1, 2), (1, 1)])
def test_with_nobody_to_keep_threads_for_all_are_free(
    threads: int, providers: int
) -> None:
    assert most_threads(threads, providers=providers) is None


@given(st.integers(1, 10**6), st.floats(1e-3, 1e4))
def test_a_turn_is_neither_at_once_nor_lost(surplus: int, rate: float) -> None:
    wait = turn(surplus, rate_per_s=rate)

    assert SHORTEST_TURN <= wait <= LONGEST_TURN
    assert wait <= turn(surplus + 1, rate_per_s=rate)
