"""How a process's threads are shared among the providers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.bulkhead import places
from postroom.domain.email import Priority


@given(st.integers(2, 512), st.integers(2, 9))
def test_some_threads_are_left_for_the_others(threads: int, providers: int) -> None:
    limits = places(threads, providers=providers)

    assert limits is not None
    for limit in limits.values():
        assert 1 <= limit < threads
        assert limit <= threads * 0.75 or limit == 1
    assert limits[Priority.HIGH] >= limits[Priority.NORMAL] >= limits[Priority.LOW]


@given(st.integers(4, 512))
def test_a_backlog_leaves_places_for_what_goes_first(threads: int) -> None:
    limits = places(threads, providers=2)

    assert limits is not None
    assert limits[Priority.HIGH] > limits[Priority.NORMAL] > limits[Priority.LOW]


@pytest.mark.parametrize(("threads", "providers"), [(32, 1), (1, 2), (1, 1)])
def test_with_nobody_to_keep_threads_for_all_are_free(
    threads: int, providers: int
) -> None:
    assert places(threads, providers=providers) is None
