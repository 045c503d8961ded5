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


@given(st.integers(1, 64), st.integers(1, 4), st.integers(1, 80))
def test_what_a_provider_allows_is_never_exceeded(
    threads: int, providers: int, most: int
) -> None:
    limits = places(threads, providers=providers, most=most)

    of_their_own = places(threads, providers=providers)
    if limits is None:
        assert of_their_own is None
        assert most >= threads
        return
    for priority, limit in limits.items():
        assert 1 <= limit <= min(most, threads)
        assert of_their_own is None or limit <= of_their_own[priority]
    assert limits[Priority.HIGH] == min(
        most, (of_their_own or {}).get(Priority.HIGH, threads)
    )
    assert limits[Priority.LOW] < most or most == 1


@pytest.mark.parametrize(("threads", "providers"), [(32, 1), (1, 2), (1, 1)])
def test_with_nobody_to_keep_threads_for_all_are_free(
    threads: int, providers: int
) -> None:
    assert places(threads, providers=providers) is None
