"""The bounds of the back-off."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.policy import LONGEST_RETRY_AFTER, Policy
from postroom.domain.retry import at_least, next_delay
from tests.builders import seconds

WAITS = st.timedeltas(min_value=timedelta(milliseconds=10), max_value=seconds(86_400))
ATTEMPTS = st.integers(1, 10_000)
DRAWS = st.floats(0, 1, exclude_max=True)


@given(first=WAITS, longest=WAITS, attempt=ATTEMPTS, jitter=DRAWS)
def test_a_delay_is_positive_and_never_over_the_longest(
    first: timedelta, longest: timedelta, attempt: int, jitter: float
) -> None:
    policy = Policy(retry_first=first, retry_max=longest)

    assert timedelta(0) < next_delay(policy, attempt, jitter=jitter) <= longest


@given(first=WAITS, longest=WAITS, attempt=ATTEMPTS, jitter=DRAWS)
def test_jitter_takes_off_at_most_half(
    first: timedelta, longest: timedelta, attempt: int, jitter: float
) -> None:
    policy = Policy(retry_first=first, retry_max=longest)
    full = next_delay(policy, attempt, jitter=0)

    delay = next_delay(policy, attempt, jitter=jitter)

    assert full / 2 - timedelta(microseconds=1) <= delay <= full


@given(attempt=st.integers(1, 7), first=st.integers(1, 5))
def test_a_delay_doubles_until_the_longest(attempt: int, first: int) -> None:
    policy = Policy(retry_first=seconds(first), retry_max=seconds(10_000))

    assert next_delay(policy, attempt + 1, jitter=0) == 2 * next_delay(
        policy, attempt, jitter=0
    )


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_count_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt must be 1 or more"):
        next_delay(Policy(), attempt, jitter=0)


@pytest.mark.parametrize("jitter", [-0.1, 1, 2])
def test_a_draw_is_from_zero_to_under_one(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter must be in"):
        next_delay(Policy(), 1, jitter=jitter)


@given(delay=WAITS, asked=st.none() | st.timedeltas(max_value=timedelta(days=10_000)))
def test_a_provider_may_lengthen_a_delay_but_not_shorten_it(
    delay: timedelta, asked: timedelta | None
) -> None:
    got = at_least(delay, asked)

    assert delay <= got <= max(delay, LONGEST_RETRY_AFTER)
