"""The actors on a real Valkey: what a service asks for is what Dramatiq does."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from dramatiq import Message, Worker

from postroom.actors.broker import SteadyBroker, build_broker
from postroom.actors.following import MOST_UNEXPECTED
from postroom.actors.provider_router import declare_router
from postroom.actors.pulse import Pulse
from postroom.actors.reconcile import declare_reconcile, declare_release
from postroom.actors.send import declare_send
from postroom.actors.sweep import declare_sweep
from postroom.adapters.clock import SystemClock
from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.adapters.hints import RedisHints
from postroom.adapters.turns import take_turns
from postroom.domain.email import Priority
from postroom.domain.errors import HintError
from postroom.domain.hint import SWEEP_QUEUE, Hint, send_queue
from postroom.domain.policy import Policy
from postroom.services.next_step import Again, Dead, Done, NextStep
from postroom.services.offer import Swept
from tests.builders import ALPHA, a_hint, seconds
from tests.servers import a_redis

#: Bound on any wait, in seconds; only a fault reaches it.
PATIENCE_S = 30.0

FAST = Policy(retry_first=timedelta(milliseconds=20), retry_max=seconds(0.1))


@pytest.fixture
def broker(redis_client: redis.Redis) -> SteadyBroker:
    return take_turns(build_broker(redis_client))


@pytest.fixture
def start(broker: SteadyBroker) -> Iterator[Callable[[], None]]:
    workers: list[Worker] = []

    def begin() -> None:
        worker = Worker(broker, worker_threads=2, worker_timeout=20)
        worker.start()
        workers.append(worker)

    yield begin
    for worker in workers:
        worker.stop(10_000)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def dead_letters(client: redis.Redis, provider: str) -> int:
    return int(client.zcard(f"dramatiq:{send_queue(provider)}.XQ"))


def test_a_hint_reaches_the_send_actor_as_it_was(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    got: list[tuple[str, Hint]] = []

    def attempt(provider: str, hint: Hint) -> NextStep:
        got.append((provider, hint))
        return Done()

    declare_send(broker, ALPHA, attempt, FAST)
    start()

    RedisHints(redis_client).send(ALPHA, a_hint())

    wait_until(lambda: bool(got))
    assert got == [(ALPHA, a_hint())]


def test_again_brings_the_message_back_more_often_than_the_middleware_counts(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    calls: list[Hint] = []

    def attempt(_provider: str, hint: Hint) -> NextStep:
        calls.append(hint)
        return Again(delay=seconds(0.01)) if len(calls) < 8 else Done()

    declare_send(broker, ALPHA, attempt, FAST)
    start()

    RedisHints(redis_client).send(ALPHA, a_hint())

    wait_until(lambda: len(calls) == 8)
    assert dead_letters(redis_client, ALPHA) == 0


def test_a_dead_letters_message_lies_in_the_providers_dead_letter_queue(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    declare_send(broker, ALPHA, lambda *_: Dead(reason="refused"), FAST)
    start()

    RedisHints(redis_client).send(ALPHA, a_hint())

    wait_until(lambda: dead_letters(redis_client, ALPHA) == 1)


def test_an_unexpected_exception_is_tried_again_three_times_then_given_up(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    calls: list[Hint] = []

    def attempt(_provider: str, hint: Hint) -> NextStep:
        calls.append(hint)
        raise RuntimeError("unforeseen")

    declare_send(broker, ALPHA, attempt, FAST)
    start()

    RedisHints(redis_client).send(ALPHA, a_hint())

    wait_until(lambda: dead_letters(redis_client, ALPHA) == 1)
    assert len(calls) == 1 + MOST_UNEXPECTED


@pytest.mark.parametrize("args", [({"v": 99},), ("no hint",), ({},)])
def test_what_is_no_hint_is_given_up_at_once(
    broker: SteadyBroker,
    redis_client: redis.Redis,
    start: Callable[[], None],
    args: tuple[Any, ...],
) -> None:
    declare_send(broker, ALPHA, lambda *_: Done(), FAST)
    start()

    broker.enqueue(a_message(send_queue(ALPHA), *args))

    wait_until(lambda: dead_letters(redis_client, ALPHA) == 1)


def test_router_reconcile_release_and_sweep_pass_on_what_they_are_told(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    told: list[object] = []

    def tell(what: object) -> NextStep:
        told.append(what)
        return Done()

    def release(provider: str) -> int:
        told.append(provider)
        return 0

    heartbeats = MemoryHeartbeats(SystemClock())
    declare_router(broker, tell, FAST)
    declare_reconcile(broker, tell, FAST)
    declare_release(broker, release, FAST)
    sweep = declare_sweep(broker, lambda: Swept(offered=1), heartbeats)
    start()
    hints = RedisHints(redis_client)

    hints.route(a_hint())
    hints.reconcile("an id")
    hints.release(ALPHA)
    sweep.send()

    wait_until(lambda: len(told) == 3 and "sweep" in heartbeats.ages())
    assert a_hint() in told
    assert {"an id", ALPHA} <= {what for what in told if isinstance(what, str)}


def test_no_address_and_no_body_lies_in_redis_after_a_failure(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    def attempt(_provider: str, _hint: Hint) -> NextStep:
        raise LookupError("of whatever")

    declare_send(broker, ALPHA, attempt, FAST)
    start()
    RedisHints(redis_client).send(ALPHA, a_hint())

    wait_until(lambda: dead_letters(redis_client, ALPHA) == 1)

    kept = redis_client.hgetall(f"dramatiq:{send_queue(ALPHA)}.XQ.msgs")
    assert kept
    for message in kept.values():
        assert "@" not in json.dumps(json.loads(message)["args"])


def test_a_tick_of_the_clock_outlives_redis(tmp_path: Any) -> None:
    with a_redis(tmp_path) as server:
        client = redis.Redis.from_url(server.url, socket_timeout=0.5)
        broker = take_turns(build_broker(client))
        hints = RedisHints(client)
        server.kill9()

        broker.enqueue(a_message(SWEEP_QUEUE))

        with pytest.raises(redis.RedisError):
            broker.enqueue(a_message("other"))
        with pytest.raises(HintError):
            hints.route(a_hint())
        with pytest.raises(HintError, match="a moment ago"):
            hints.route(a_hint())
        server.start()
        client.close()


def test_the_pulse_goes_on_after_a_failure_and_ends_with_the_worker(
    broker: SteadyBroker, start: Callable[[], None]
) -> None:
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 1:
            raise HintError("away")
        if len(beats) == 2:
            raise RuntimeError("unforeseen")

    pulse = Pulse()
    pulse.every(timedelta(milliseconds=10), beat)
    broker.add_middleware(pulse)
    start()

    wait_until(lambda: len(beats) >= 4)


def a_message(queue: str, *args: Any) -> Message[None]:
    return Message(queue_name=queue, actor_name=queue, args=args, kwargs={}, options={})


def test_a_backlog_of_low_priority_does_not_hold_up_high_ones(
    broker: SteadyBroker, redis_client: redis.Redis, start: Callable[[], None]
) -> None:
    got: list[Priority] = []

    def attempt(_provider: str, hint: Hint) -> NextStep:
        got.append(hint.priority)
        time.sleep(0.02)
        return Done()

    declare_send(broker, ALPHA, attempt, FAST)
    hints = RedisHints(redis_client)
    for _ in range(100):
        hints.send(ALPHA, replace(a_hint(), priority=Priority.LOW))
    start()
    wait_until(lambda: bool(got))

    hints.send(ALPHA, replace(a_hint(), priority=Priority.HIGH))
    wait_until(lambda: Priority.HIGH in got)

    assert got.index(Priority.HIGH) < 80
    wait_until(lambda: len(got) == 101)
