"""One provider's share of the threads, counted over real threads."""

from concurrent.futures import ThreadPoolExecutor

from postroom.adapters.bulkhead import ThreadBulkhead
from postroom.adapters.clock import FakeClock
from tests.builders import ALPHA, BETA, NOW, seconds


def a_bulkhead(threads: int = 4) -> tuple[ThreadBulkhead, FakeClock]:
    clock = FakeClock(NOW)
    bulkhead = ThreadBulkhead(timeout=seconds(15), clock=clock)
    bulkhead.share(threads, providers=2)
    return bulkhead, clock


def test_a_provider_may_hold_three_quarters() -> None:
    bulkhead, _ = a_bulkhead()

    entered = [bulkhead.enter(ALPHA) for _ in range(4)]

    assert entered[:3] == [None] * 3
    assert entered[3] is not None
    assert bulkhead.enter(BETA) is None


def test_a_place_given_back_is_free() -> None:
    bulkhead, _ = a_bulkhead(2)
    assert bulkhead.enter(ALPHA) is None
    bulkhead.leave(ALPHA)

    assert bulkhead.enter(ALPHA) is None


def test_the_surplus_comes_back_one_after_the_other_at_the_recent_rate() -> None:
    bulkhead, clock = a_bulkhead(2)
    for _ in range(20):
        assert bulkhead.enter(ALPHA) is None
        clock.advance(seconds(0.25))
        bulkhead.leave(ALPHA)
    assert bulkhead.enter(ALPHA) is None

    waits = [bulkhead.enter(ALPHA) for _ in range(4)]

    assert waits == [seconds(0.5), seconds(1), seconds(1.5), seconds(2)]


def test_turns_that_have_passed_are_given_out_anew() -> None:
    bulkhead, clock = a_bulkhead(2)
    assert bulkhead.enter(ALPHA) is None
    first = bulkhead.enter(ALPHA)
    clock.advance(seconds(60))

    assert bulkhead.enter(ALPHA) == first == seconds(15)


def test_until_it_is_told_of_threads_anybody_may_enter() -> None:
    bulkhead = ThreadBulkhead(timeout=seconds(15), clock=FakeClock(NOW))

    assert [bulkhead.enter(ALPHA) for _ in range(99)] == [None] * 99


def test_threads_at_once_never_hold_more_than_their_share() -> None:
    bulkhead, _ = a_bulkhead(16)

    with ThreadPoolExecutor(16) as pool:
        entered = list(pool.map(lambda _: bulkhead.enter(ALPHA), range(400)))

    assert entered.count(None) == 12
