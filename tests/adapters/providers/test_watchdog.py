"""The bound on a whole call, kept by one thread."""

import socket
import threading
import time
from collections.abc import Callable

from postroom.adapters.providers.watchdog import Watchdog

#: Only a hang reaches it, in seconds.
BOUND_S = 10.0


def ended(reader: socket.socket) -> bool:
    """Wait until the other handle was shut down."""
    reader.settimeout(BOUND_S)
    return reader.recv(1) == b""


def test_a_guard_shuts_the_connection_down_when_its_time_is_over() -> None:
    left, right = socket.socketpair()
    with left, right:
        guard = Watchdog().arm(0.05)
        guard.attach(left)

        assert ended(left)
        assert guard.disarm()


def test_a_disarmed_guard_leaves_the_connection_alone() -> None:
    left, right = socket.socketpair()
    other_left, other_right = socket.socketpair()
    with left, right, other_left, other_right:
        watchdog = Watchdog()
        guard = watchdog.arm(0.01)
        guard.attach(left)

        assert not guard.disarm()

        watchdog.arm(0.05).attach(other_left)
        assert ended(other_left)
        left.send(b"still open")
        assert right.recv(10) == b"still open"


def test_a_connection_named_too_late_is_shut_down_at_once() -> None:
    left, right = socket.socketpair()
    with left, right:
        guard = Watchdog().arm(0)
        wait_until(lambda: guard.fired)

        guard.attach(left)

        assert ended(left)


def test_a_shorter_bound_that_comes_later_is_kept_too() -> None:
    long_left, long_right = socket.socketpair()
    left, right = socket.socketpair()
    with long_left, long_right, left, right:
        watchdog = Watchdog()
        long = watchdog.arm(60)
        long.attach(long_left)
        guard = watchdog.arm(0.05)
        guard.attach(left)

        assert ended(left)
        assert not long.disarm()


def test_writing_is_not_begun_after_the_time() -> None:
    guard = Watchdog().arm(0)

    assert not guard.may_write()
    assert not guard.writing


def test_a_socket_that_is_closed_already_does_no_harm() -> None:
    left, right = socket.socketpair()
    watchdog = Watchdog()
    guard = watchdog.arm(0.02)
    guard.attach(left)
    left.close()
    right.close()

    wait_until(lambda: guard.fired)
    other_left, other_right = socket.socketpair()
    with other_left, other_right:
        watchdog.arm(0.02).attach(other_left)
        assert ended(other_left)


def test_calls_that_ended_do_not_pile_up_and_one_thread_serves_all() -> None:
    watchdog = Watchdog()
    before = threading.active_count()
    left, right = socket.socketpair()
    with left, right:
        for _ in range(1000):
            watchdog.arm(30).disarm()
        watchdog.arm(0.05).attach(left)

        assert ended(left)
        wait_until(lambda: not watchdog._heap)
        assert threading.active_count() == before + 1


def wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + BOUND_S
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)
