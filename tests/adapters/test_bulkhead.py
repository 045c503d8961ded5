"""One provider's share of the threads, counted over real threads."""

from concurrent.futures import ThreadPoolExecutor

from postroom.adapters.bulkhead import ThreadBulkhead
from postroom.adapters.clock import FakeClock
from postroom.domain.bulkhead import SHORTEST_TURN
from postroom.domain.email import Priority
from tests.builders import ALPHA, BETA, NOW, seconds

HIGH, NORMAL, LOW = Priority


def a_bulkhead(threads: int = 4) -> tuple[ThreadBulkhead, FakeClock]:
    clock = FakeClock(NOW)
    bulkhead = ThreadBulkhead(timeout=seconds(15), clock=clock)
    bulkhead.share(threads, providers=2)
    return bulkhead, clock


def test_a_provider_may_hold_three_quarters() -> None:
    bulkhead, _ = a_bulkhead()

    entered = [bulkhead.enter(ALPHA, NORMAL) for _ in range(4)]

    assert entered[:3] == [None] * 3
    assert entered[3] is not None
    assert bulkhead.enter(BETA, NORMAL) is None


def test_a_place_given_back_is_free() -> None:
    bulkhead, _ = a_bulkhead(2)
    assert bulkhead.enter(ALPHA, NORMAL) is None
    bulkhead.leave(ALPHA)

    assert bulkhead.enter(ALPHA, NORMAL) is None


def test_the_surplus_comes_back_one_after_the_other_at_the_recent_rate() -> None:
    bulkhead, clock = a_bulkhead(2)
    for _ in range(20):
        assert bulkhead.enter(ALPHA, NORMAL) is None
        clock.advance(seconds(0.25))
        bulkhead.leave(ALPHA)
    assert bulkhead.enter(ALPHA, NORMAL) is None

    waits = [bulkhead.enter(ALPHA, NORMAL) for _ in range(4)]

    assert waits == [seconds(0.5), seconds(1), seconds(1.5), seconds(2)]


def test_turns_that_have_passed_are_given_out_anew() -> None:
    bulkhead, clock = a_bulkhead(2)
    assert bulkhead.enter(ALPHA, NORMAL) is None
    first = bulkhead.enter(ALPHA, NORMAL)
    clock.advance(seconds(60))

    assert bulkhead.enter(ALPHA, NORMAL) == first == seconds(15)


def a_full_one_with_low_surplus() -> tuple[ThreadBulkhead, FakeClock]:
    bulkhead, clock = a_bulkhead(2)
    assert bulkhead.enter(ALPHA, LOW) is None
    for _ in range(9):
        assert bulkhead.enter(ALPHA, LOW) is not None
    return bulkhead, clock


def test_no_email_waits_for_the_turns_of_lower_ones() -> None:
    bulkhead, _ = a_full_one_with_low_surplus()

    waits = [bulkhead.enter(ALPHA, one) for one in (NORMAL, HIGH, LOW)]

    assert waits == [seconds(15), seconds(15), seconds(30)]


def test_a_place_is_kept_for_a_higher_email_whose_turn_is_near() -> None:
    bulkhead, clock = a_full_one_with_low_surplus()
    wait = bulkhead.enter(ALPHA, HIGH)
    assert wait is not None
    clock.advance(wait - SHORTEST_TURN)
    bulkhead.leave(ALPHA)

    assert bulkhead.enter(ALPHA, LOW) is not None
    assert bulkhead.enter(ALPHA, HIGH) is None


def test_a_place_is_not_kept_for_a_turn_that_is_far_or_long_past() -> None:
    bulkhead, clock = a_full_one_with_low_surplus()
    assert bulkhead.enter(ALPHA, HIGH) is not None
    bulkhead.leave(ALPHA)

    assert bulkhead.enter(ALPHA, LOW) is None
    bulkhead.leave(ALPHA)
    clock.advance(seconds(17))
    assert bulkhead.enter(ALPHA, LOW) is None


def test_until_it_is_told_of_threads_anybody_may_enter() -> None:
    bulkhead = ThreadBulkhead(timeout=seconds(15), clock=FakeClock(NOW))

    assert [bulkhead.enter(ALPHA, NORMAL) for _ in range(99)] == [None] * 99


def test_threads_at_once_never_hold_more_than_their_share() -> None:
    bulkhead, _ = a_bulkhead(16)

    with ThreadPoolExecutor(16) as pool:
        entered = list(pool.map(lambda _: bulkhead.enter(ALPHA, NORMAL), range(400)))

    assert entered.count(None) == 12
