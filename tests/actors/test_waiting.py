"""Consumers that wait for the bell, on a real Valkey and with Dramatiq's own worker.

They look by themselves every 30 s here, so what is done within a few seconds was rung
for.
"""

from __future__ import annotations

import threading
import time

import dramatiq
import redis
from dramatiq.brokers.redis import MAINTENANCE_SCALE

from postroom.actors.waiting import WaitingConsumer
from tests.actors.belled import (
    AT_ONCE_S,
    NEVER_MS,
    PATIENCE_S,
    QUEUE,
    Start,
    Taken,
    a_broker,
    bell_threads,
    listeners,
    take,
    wait_until,
    wait_until_idle,
)


class TestABell:
    def test_wakes_who_waits(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        actor = take(broker, taken)
        wait_until_idle(redis_client, start(broker))

        for number in range(5):
            actor.send(number)
            taken.wait_for(number + 1)

    def test_wakes_who_waits_for_delayed_messages_and_they_come_in_time(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        actor = take(broker, taken)
        wait_until_idle(redis_client, start(broker))

        began = time.monotonic()
        actor.send_with_options(args=(2,), delay=1_000)
        actor.send_with_options(args=(1,), delay=300)
        taken.wait_for(2)

        assert time.monotonic() - began >= 1
        assert taken.numbers == [1, 2]

    def test_that_rings_before_one_waits_counts(
        self, redis_client: redis.Redis, taken: Taken
    ) -> None:
        """It looked, found nothing, and has not begun to wait yet."""
        broker = a_broker(redis_client)
        consumer = broker.consume(QUEUE, timeout=NEVER_MS)
        assert isinstance(consumer, WaitingConsumer)
        wait_until(lambda: listeners(redis_client) == 1)
        time.sleep(0.1)  # the subscription rings once
        while consumer.may_have_more:
            assert next(consumer) is None

        take(broker, taken).send(1)
        wait_until(lambda: consumer.may_have_more)

        assert next(consumer) is not None
        consumer.close()

    def test_that_rings_when_one_has_decided_to_wait_counts(
        self, redis_client: redis.Redis
    ) -> None:
        consumer = a_broker(redis_client).consume(QUEUE, timeout=NEVER_MS)
        assert isinstance(consumer, WaitingConsumer)
        wait_until(lambda: listeners(redis_client) == 1)
        time.sleep(0.1)  # the subscription rings once
        while consumer.may_have_more:
            assert next(consumer) is None
        patience_s = consumer._patience_s

        def decide() -> float:
            decided = patience_s()
            consumer.ring()
            return decided

        consumer._patience_s = decide  # type: ignore[method-assign]
        began = time.monotonic()

        assert next(consumer) is None

        assert time.monotonic() - began < AT_ONCE_S
        consumer.close()

    def test_that_rings_while_one_looks_counts(
        self, redis_client: redis.Redis, taken: Taken
    ) -> None:
        """The look finds nothing, and what comes behind it is looked for again."""
        broker = a_broker(redis_client)
        actor = take(broker, taken)
        consumer = broker.consume(QUEUE, timeout=NEVER_MS)
        assert isinstance(consumer, WaitingConsumer)
        fetch = consumer.fetch

        def fetch_too_early() -> list[bytes | None]:
            fetched = fetch()
            consumer.fetch = fetch  # type: ignore[method-assign]
            actor.send(1)
            wait_until(lambda: consumer.may_have_more)
            return fetched

        wait_until(lambda: listeners(redis_client) == 1)
        consumer.fetch = fetch_too_early  # type: ignore[method-assign]

        assert next(consumer) is None
        assert next(consumer) is not None
        consumer.close()

    def test_wakes_all_processes_and_what_one_has_no_room_for_others_take(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        go = threading.Event()
        brokers = [a_broker(redis_client) for _ in range(3)]
        for broker in brokers:

            @dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="hold")
            def hold(number: int) -> None:
                taken.add(number)
                go.wait(PATIENCE_S)

            worker = start(broker)
        wait_until_idle(redis_client, worker, count=3)
        hold_in_hand = 3 * 2

        for number in range(20):
            hold.send(number)

        taken.wait_for(hold_in_hand)
        go.set()
        taken.wait_for(20)

    def test_is_heard_on_one_connection_which_ends_with_the_worker(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        take(broker, taken)
        broker.declare_queue("other")
        worker = start(broker)
        wait_until(lambda: listeners(redis_client, "other.DQ") == 1)
        wait_until(lambda: listeners(redis_client) == 1)
        assert len(bell_threads()) == 1

        worker.stop()

        wait_until(lambda: listeners(redis_client) == 0)

    def test_is_heard_by_a_queue_that_is_declared_later(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        broker.declare_queue("other")
        start(broker)
        wait_until(lambda: listeners(redis_client, "other") == 1)

        actor = take(broker, taken)
        wait_until(lambda: listeners(redis_client) == 1)
        actor.send(1)

        taken.wait_for(1)

    def test_is_rung_for_what_a_worker_gives_back(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        go, begun = threading.Event(), threading.Event()
        first = a_broker(redis_client)

        @dramatiq.actor(broker=first, queue_name=QUEUE, actor_name="take")
        def hold(number: int) -> None:
            begun.set()
            go.wait(PATIENCE_S)
            taken.add(number)

        stopping = start(first, threads=2)
        for number in range(4):
            hold.send(number)
        assert begun.wait(PATIENCE_S)
        wait_until(lambda: redis_client.llen(f"dramatiq:{QUEUE}") == 0)
        second = a_broker(redis_client)
        take(second, taken)
        wait_until_idle(redis_client, start(second), count=2)

        threading.Timer(0.2, go.set).start()
        stopping.stop(10_000)

        taken.wait_for(4)
        assert sorted(taken.numbers) == [0, 1, 2, 3]

    def test_is_rung_for_what_a_dead_worker_had_in_hand(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        dead = a_broker(redis_client)
        actor = take(dead, taken)
        for number in range(3):
            actor.send(number)
        dead.do_fetch(QUEUE, 3)
        broker = a_broker(redis_client)
        take(broker, taken)
        wait_until_idle(redis_client, start(broker))
        finder = a_broker(redis_client)
        finder.heartbeat_timeout, finder.maintenance_chance = 0, MAINTENANCE_SCALE

        finder.do_qsize(QUEUE)

        taken.wait_for(3)


class TestWaiting:
    def test_costs_no_more_than_dramatiqs_own_polling(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        take(broker, taken)
        wait_until_idle(redis_client, start(broker, timeout_ms=1_000))
        watched_s = 3

        def commands() -> int:
            return int(redis_client.info("stats")["total_commands_processed"])

        before = commands()
        time.sleep(watched_s)

        # Two queues, once a second each: a script of three commands.
        assert commands() - before <= watched_s * 8 + 8

    def test_a_full_hand_goes_on_when_there_is_room(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        actor = take(broker, taken)
        for number in range(200):
            actor.send(number)

        start(broker, threads=1)

        taken.wait_for(200)

    def test_does_not_hold_up_a_stop(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        take(broker, taken)
        worker = start(broker, threads=8)
        wait_until_idle(redis_client, worker)

        began = time.monotonic()
        worker.stop(60_000)

        assert time.monotonic() - began < AT_ONCE_S

    def test_does_not_hold_up_what_is_given_back(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        go = threading.Event()

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def hold(number: int) -> None:
            taken.add(number)
            go.wait(PATIENCE_S)

        worker = start(broker, threads=1)
        for number in range(2):
            hold.send(number)
        hold.send_with_options(args=(9,), delay=60_000)
        taken.wait_for(1)
        wait_until(lambda: redis_client.llen(f"dramatiq:{QUEUE}") == 0)
        wait_until(lambda: redis_client.llen(f"dramatiq:{QUEUE}.DQ") == 0)

        began = time.monotonic()
        threading.Timer(0.2, go.set).start()
        worker.stop(60_000)

        assert time.monotonic() - began < AT_ONCE_S
        assert redis_client.llen(f"dramatiq:{QUEUE}") == 1
        assert redis_client.llen(f"dramatiq:{QUEUE}.DQ") == 1


def test_no_wake_up_is_lost_among_many_threads(
    redis_client: redis.Redis, redis_url: str, start: Start, taken: Taken
) -> None:
    """Queues run empty all the time here; a ring that is lost costs 30 s."""
    brokers = [a_broker(redis_client) for _ in range(2)]
    for broker in brokers:
        actor = take(broker, taken)
        start(broker, threads=4)
    count, givers = 150, 6

    def give(giver: int) -> None:
        for number in range(count):
            actor.send(giver * count + number)
            time.sleep(0.0005 * (number % (giver + 1)))

    threads = [threading.Thread(target=give, args=(no,)) for no in range(givers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    taken.wait_for(count * givers)
    assert sorted(taken.numbers) == list(range(count * givers))
