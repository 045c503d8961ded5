"""A service's next step, told to Dramatiq; and what of it gets into Redis."""

import json
import threading
import time
from datetime import timedelta

import pytest
import redis
from dramatiq import Retry, Worker

from postroom.actors.broker import build_broker
from postroom.actors.following import follow, may_retry
from postroom.actors.provider_router import declare_router
from postroom.actors.send import declare_send
from postroom.adapters.hints import RedisHints
from postroom.domain.email import Priority
from postroom.domain.hint import Hint, router_actor
from postroom.domain.policy import Policy
from postroom.services.next_step import Again, Dead, Done, NextStep
from tests.builders import ALPHA, a_hint, everything_set, seconds

PATIENCE_S = 30.0
FAST = Policy(retry_first=timedelta(milliseconds=20), retry_max=seconds(0.1))


@pytest.mark.parametrize(
    ("delay", "delay_ms"),
    [(seconds(1.5), 1500), (seconds(60), 60_000), (-seconds(1), 1)],
)
def test_again_is_a_retry_after_its_own_delay(delay: timedelta, delay_ms: int) -> None:
    with pytest.raises(Retry) as caught:
        follow(Again(delay=delay))

    assert caught.value.delay == delay_ms
    assert caught.value.__context__ is None


@pytest.mark.parametrize("step", [Done(), Dead(reason="refused")])
def test_outside_a_worker_nothing_is_to_be_done(step: NextStep) -> None:
    follow(step)


def test_outside_a_worker_only_our_own_retry_comes_back() -> None:
    assert may_retry(10**6, Retry())
    assert not may_retry(0, RuntimeError())


@pytest.mark.parametrize("fault", [LookupError, Retry])
def test_no_word_of_an_exception_gets_into_redis(
    redis_client: redis.Redis, fault: type[Exception]
) -> None:
    """Looked at while the message waits to be tried again, and when it is given up."""
    broker = build_broker(redis_client)
    failed = threading.Semaphore(0)

    def attempt(_provider: str, _hint: Hint) -> NextStep:
        failed.release()
        if fault is Retry:
            follow(Again(delay=seconds(0.05)))
        raise fault("RCPT TO:<ada@example.com>")

    declare_send(broker, ALPHA, attempt, FAST)
    RedisHints(redis_client).send(ALPHA, a_hint(everything_set()))
    with_worker = Worker(broker, worker_threads=1, worker_timeout=20)
    with_worker.start()
    try:
        for _ in range(4):
            assert failed.acquire(timeout=PATIENCE_S)
            assert "ada@" not in everything_in(redis_client)
    finally:
        with_worker.stop(10_000)

    kept = everything_in(redis_client)
    assert "ada@" not in kept
    assert "Hello" not in kept
    assert "Traceback" not in kept


def test_a_hint_that_the_router_cannot_read_is_given_up_at_once(
    redis_client: redis.Redis,
) -> None:
    broker = build_broker(redis_client)
    declare_router(broker, lambda _: Done(), FAST)
    broker.get_actor(router_actor(Priority.NORMAL)).send({"v": 99})
    worker = Worker(broker, worker_threads=1, worker_timeout=20)
    worker.start()
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not redis_client.zcard("dramatiq:router.XQ"):
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        worker.stop(10_000)

    (message,) = redis_client.hgetall("dramatiq:router.XQ.msgs").values()
    assert "retries" not in json.loads(message)["options"]


def everything_in(client: redis.Redis) -> str:
    """Return all that a Redis holds, as text."""
    found: list[object] = []
    for key in client.scan_iter():
        kind = client.type(key)
        if kind == b"hash":
            found += client.hgetall(key).values()
        elif kind == b"string":
            found.append(client.get(key))
    return repr(found)
