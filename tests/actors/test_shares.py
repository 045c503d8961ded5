"""One provider's share of the threads, on a real Valkey and Dramatiq's own worker."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event

import pytest
import redis
from dramatiq import Worker

from postroom.actors.broker import SteadyBroker, build_broker
from postroom.actors.send import declare_send
from postroom.actors.shares import ShareConsumer, ThreadShares, shares_of
from postroom.adapters.bell import ring
from postroom.adapters.hints import RedisHints
from postroom.adapters.turns import take_turns
from postroom.domain.email import Priority
from postroom.domain.hint import Hint
from postroom.domain.policy import Policy
from postroom.services.next_step import Done, NextStep
from tests.builders import ALPHA, BETA, a_hint

PATIENCE_S = 30.0
THREADS = 8

#: Longer than any wait here: nobody finds anything by looking for it now and then.
NEVER_MS = 60_000


class Held:
    """Sends that stay in hand until they are let go."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Priority]] = []
        self.ended = Counter[str]()
        self.go = Event()
        self.slow: set[str] = {ALPHA}

    def __call__(self, provider: str, hint: Hint) -> NextStep:
        self.begun.append((provider, hint.priority))
        if provider in self.slow:
            self.go.wait(PATIENCE_S)
        self.ended[provider] += 1
        return Done()

    def count(self, provider: str) -> int:
        return sum(name == provider for name, _ in self.begun)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def broker(redis_client: redis.Redis, held: Held) -> SteadyBroker:
    broker = build_broker(redis_client, [ThreadShares((ALPHA, BETA))])
    ring(take_turns(broker))
    for provider in (ALPHA, BETA):
        declare_send(broker, provider, held, Policy())
    return broker


@pytest.fixture
def start(broker: SteadyBroker, held: Held) -> Iterator[Callable[..., None]]:
    workers: list[Worker] = []

    def begin(**given: object) -> None:
        worker = Worker(
            broker, worker_threads=THREADS, worker_timeout=NEVER_MS, **given
        )  # type: ignore[arg-type]
        worker.start()
        workers.append(worker)

    yield begin
    held.go.set()
    for worker in workers:
        worker.stop(10_000)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def give(
    client: redis.Redis, provider: str, count: int, priority: Priority = Priority.NORMAL
) -> None:
    hints = RedisHints(client)
    for _ in range(count):
        hints.send(provider, replace(a_hint(), priority=priority))


def test_a_slow_provider_leaves_threads_to_the_other(
    redis_client: redis.Redis, held: Held, start: Callable[..., None]
) -> None:
    for priority in Priority:
        give(redis_client, ALPHA, 30, priority)
    start()
    wait_until(lambda: held.count(ALPHA) == 6)

    give(redis_client, BETA, 40)
    wait_until(lambda: held.ended[BETA] == 40)

    assert held.count(ALPHA) == 6
    assert redis_client.llen("dramatiq:send.alpha.low") >= 25


def test_a_high_one_goes_next_however_many_low_ones_wait(
    redis_client: redis.Redis, held: Held, start: Callable[..., None]
) -> None:
    give(redis_client, ALPHA, 50, Priority.LOW)
    start()
    wait_until(lambda: held.count(ALPHA) == 4)

    give(redis_client, ALPHA, 1, Priority.HIGH)

    wait_until(lambda: (ALPHA, Priority.HIGH) in held.begun)
    assert held.count(ALPHA) == 5


def test_places_that_fall_free_are_used_again(
    redis_client: redis.Redis, held: Held, start: Callable[..., None]
) -> None:
    give(redis_client, ALPHA, 100)
    start()
    wait_until(lambda: held.count(ALPHA) == 5)

    held.go.set()

    wait_until(lambda: held.ended[ALPHA] == 100)


def test_a_place_that_falls_free_is_for_any_priority(
    redis_client: redis.Redis, held: Held, start: Callable[..., None]
) -> None:
    give(redis_client, ALPHA, 20)
    start()
    wait_until(lambda: held.count(ALPHA) == 5)
    give(redis_client, ALPHA, 20, Priority.LOW)

    held.go.set()

    wait_until(lambda: held.ended[ALPHA] == 40)


def test_who_finds_the_place_taken_looks_again(broker: SteadyBroker) -> None:
    """Another queue of the provider was quicker, between the question and the lock."""
    broker.shares = shares_of((ALPHA, BETA), threads=THREADS)
    consumer = broker.consume("send.alpha")
    assert isinstance(consumer, ShareConsumer)
    consumer.queued_message_ids |= {str(no) for no in range(THREADS)}
    consumer.may_have_more = False

    assert consumer.fetch() == []

    assert consumer.may_have_more
    consumer.close()


def test_a_consumer_that_is_built_anew_counts_instead_of_the_old_one(
    broker: SteadyBroker, redis_client: redis.Redis
) -> None:
    give(redis_client, ALPHA, 20)
    broker.shares = shares_of((ALPHA, BETA), threads=THREADS)
    old = broker.consume("send.alpha", timeout=20)
    assert next(old) is not None

    new = broker.consume("send.alpha", timeout=20)

    assert isinstance(new, ShareConsumer)
    got = [next(new) for _ in range(5)]
    assert None not in got
    assert next(new) is None
    new.close()


class TestSharesOf:
    def test_a_process_for_one_provider_has_all_its_threads(self) -> None:
        queues = {"send.alpha", "send.alpha.high", "send.alpha.low"}

        assert shares_of((ALPHA, BETA), threads=8, queues=queues) == {}
        assert shares_of((ALPHA,), threads=8) == {}

    def test_what_a_provider_allows_binds_it_alone(self) -> None:
        shares = shares_of((ALPHA, BETA), threads=8, most={ALPHA: 2})

        assert [shares[f"send.{ALPHA}"].room(f"send.{ALPHA}")] == [2]
        assert shares[f"send.{BETA}"].room(f"send.{BETA}") > 2
        assert shares_of((ALPHA,), threads=8, most={BETA: 2}) == {}
        assert len(shares_of((ALPHA,), threads=8, most={ALPHA: 2})) == len(Priority)

    def test_the_queues_of_a_provider_share_its_places(self) -> None:
        shares = shares_of((ALPHA, BETA), threads=8)

        assert len(shares) == 2 * len(Priority)
        assert shares["send.alpha"] is shares["send.alpha.high"]
        assert shares["send.alpha"] is not shares["send.beta"]
