"""A bell that is cut, forbidden or silent: consumers look by themselves meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries

from postroom.actors import bell as bell_module
from tests.actors.belled import (
    PATIENCE_S,
    Start,
    Taken,
    a_broker,
    take,
    wait_until,
    wait_until_idle,
)
from tests.adapters.breakers.parts import impatient_client
from tests.chaos.proxy import Mode, Order, Proxies
from tests.servers import a_redis


class TestWithoutABell:
    def test_who_does_not_ring_is_found_by_the_poll(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        take(broker, taken)
        wait_until_idle(redis_client, start(broker, timeout_ms=500))
        older = RedisBroker(client=redis_client, middleware=[Retries()])  # type: ignore[no-untyped-call]

        take(older, taken).send(1)

        taken.wait_for(1, PATIENCE_S)

    def test_who_may_not_listen_polls(
        self, tmp_path: Path, start: Start, taken: Taken
    ) -> None:
        with a_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            client.acl_setuser(  # type: ignore[no-untyped-call]
                "deaf", enabled=True, nopass=True, keys="*", commands=["+@all"]
            )
            url = server.url.replace("redis://", "redis://deaf:@")
            with (
                redis.Redis.from_url(url) as deaf,
                structlog.testing.capture_logs() as told,
            ):
                broker = a_broker(client, deaf)
                actor = take(broker, taken)
                worker = start(broker, timeout_ms=500)
                for number in range(3):
                    actor.send(number)
                    taken.wait_for(number + 1, PATIENCE_S)
                wait_until(lambda: bool(told))
                worker.stop()
        assert {line["event"] for line in told} == {"bell.out_of_order"}

    def test_a_cut_connection_costs_no_message_and_is_mended(
        self, redis_client: redis.Redis, redis_url: str, start: Start, taken: Taken
    ) -> None:
        with (
            impatient_client(redis_url) as bell,
            structlog.testing.capture_logs() as told,
        ):
            broker = a_broker(redis_client, bell)
            actor = take(broker, taken)
            worker = start(broker)
            wait_until_idle(redis_client, worker)

            for number in range(3):
                redis_client.client_kill_filter(_type="pubsub")
                actor.send(number)
                taken.wait_for(number + 1)
            worker.stop()
        assert [line["event"] for line in told].count("bell.mended") >= 1

    def test_an_emptied_redis_goes_on_ringing(
        self, redis_client: redis.Redis, start: Start, taken: Taken
    ) -> None:
        broker = a_broker(redis_client)
        actor = take(broker, taken)
        wait_until_idle(redis_client, start(broker))

        for number in range(3):
            redis_client.flushall()
            actor.send(number)
            taken.wait_for(number + 1)

    def test_a_restarted_redis_rings_again(
        self, tmp_path: Path, start: Start, taken: Taken
    ) -> None:
        with a_redis(tmp_path) as server, impatient_client(server.url) as client:
            broker = a_broker(client)
            actor = take(broker, taken)
            worker = start(broker)
            wait_until_idle(client, worker)

            server.kill9()
            server.start()
            actor.send(1)
            taken.wait_for(1, PATIENCE_S)

            wait_until_idle(client, worker)
            actor.send(2)
            taken.wait_for(2)
            worker.stop()

    def test_a_connection_that_falls_silent_is_polled_for_and_given_up(
        self,
        redis_client: redis.Redis,
        redis_url: str,
        start: Start,
        taken: Taken,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("TURN_S", "PING_AFTER_S", "PONG_WITHIN_S"):
            monkeypatch.setattr(bell_module, name, 0.2)
        target = int(redis_client.connection_pool.connection_kwargs["port"])
        proxies = Proxies().start({"bell": target})
        try:
            url = redis_url.replace(str(target), str(proxies.ports["bell"]))
            with impatient_client(url) as bell:
                broker = a_broker(redis_client, bell)
                actor = take(broker, taken)
                worker = start(broker, timeout_ms=500)
                wait_until_idle(redis_client, worker)
                proxies.set("bell", Order(mode=Mode.BLACKHOLE))
                with structlog.testing.capture_logs() as told:
                    actor.send(1)
                    taken.wait_for(1, PATIENCE_S)
                    wait_until(lambda: bool(told))

                    proxies.set("bell")
                    wait_until(lambda: told[-1]["event"] == "bell.mended")
                worker.stop()
        finally:
            proxies.stop()
        assert [line["event"] for line in told] == ["bell.out_of_order", "bell.mended"]
