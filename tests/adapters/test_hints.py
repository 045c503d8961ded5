"""Hints as messages in Redis, and their twin in memory."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from postroom.adapters import hints as hints_module
from postroom.adapters.hints import RedisHints
from postroom.domain.errors import HintError
from postroom.domain.hint import Hint, router_queue
from postroom.domain.ports import Hints
from tests.adapters.breakers.parts import impatient_client
from tests.adapters.stored import an_id
from tests.builders import ALPHA, ID, a_hint, everything_set, seconds
from tests.servers import a_redis

#: Each kind of hint: how it is given, and the queue, actor and argument it becomes.
KINDS: dict[str, tuple[Any, str, str, Any]] = {
    "route": (a_hint(), "router", "ProviderRouter", a_hint().to_message()),
    "send": (a_hint(), "send.alpha", "send.alpha", a_hint().to_message()),
    "reconcile": (ID, "reconcile", "reconcile", ID),
    "release": (ALPHA, "reconcile", "release", ALPHA),
}


def give(hints: Hints, kind: str, delay: timedelta = timedelta(0)) -> None:
    what = KINDS[kind][0]
    match kind:
        case "route":
            hints.route(what, delay=delay)
        case "send":
            hints.send(ALPHA, what, delay=delay)
        case "reconcile":
            hints.reconcile(what, delay=delay)
        case _:
            hints.release(what, delay=delay)


def messages(client: redis.Redis, queue: str) -> list[dict[str, Any]]:
    ids = client.lrange(f"dramatiq:{queue}", 0, -1)
    found = client.hgetall(f"dramatiq:{queue}.msgs")
    return [json.loads(found[message_id]) for message_id in ids]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hint_is_a_message_to_its_actor_by_name(
    redis_client: redis.Redis, kind: str
) -> None:
    _, queue, actor, argument = KINDS[kind]

    give(RedisHints(redis_client), kind)

    (message,) = messages(redis_client, queue)
    assert message["actor_name"] == actor
    assert message["args"] == [argument]
    assert message["kwargs"] == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_delayed_hint_waits_in_the_queue_of_the_delayed(
    redis_client: redis.Redis, kind: str
) -> None:
    _, queue, actor, _ = KINDS[kind]
    before_ms = time.time() * 1000

    give(RedisHints(redis_client), kind, delay=seconds(20))

    assert messages(redis_client, queue) == []
    (message,) = messages(redis_client, f"{queue}.DQ")
    assert message["actor_name"] == actor
    waits_ms = message["options"]["eta"] - before_ms
    assert 19_000 < waits_ms < 60_000


@pytest.mark.parametrize("delay", [timedelta(0), -seconds(5), seconds(0.0001)])
def test_no_delay_to_speak_of_is_none(
    redis_client: redis.Redis, delay: timedelta
) -> None:
    give(RedisHints(redis_client), "route", delay=delay)

    assert len(messages(redis_client, "router")) == 1


def test_what_arrives_is_the_hint_that_was_given(redis_client: redis.Redis) -> None:
    hint = Hint.of(everything_set())

    RedisHints(redis_client).route(hint)

    (message,) = messages(redis_client, router_queue(hint.priority))
    assert Hint.from_message(message["args"][0]) == hint


def test_neither_address_nor_text_gets_into_redis(redis_client: redis.Redis) -> None:
    hint = Hint.of(everything_set())

    RedisHints(redis_client).route(hint)

    (message,) = messages(redis_client, router_queue(hint.priority))
    for said in ("@", "Ada", "Hello", "order"):
        assert said not in json.dumps(message)


def test_many_at_once_all_arrive(redis_client: redis.Redis) -> None:
    hints = RedisHints(redis_client)

    with ThreadPoolExecutor(20) as pool:
        ids = [an_id(no) for no in range(300)]
        list(pool.map(hints.reconcile, ids))

    arrived = [each["args"][0] for each in messages(redis_client, "reconcile")]
    assert sorted(arrived) == ids


def test_a_server_that_forgot_the_script_is_told_it_again(
    redis_client: redis.Redis,
) -> None:
    hints = RedisHints(redis_client)
    redis_client.script_flush()

    hints.route_all([(a_hint(email_id=an_id(no)), timedelta(0)) for no in range(3)])
    redis_client.script_flush()
    hints.route(a_hint())

    assert len(messages(redis_client, "router")) == 4


class TestAway:
    def test_a_dead_redis_is_told_as_a_hint_error(self, tmp_path: Path) -> None:
        with a_redis(tmp_path) as server:
            hints = RedisHints(impatient_client(server.url))
            give(hints, "route")
            server.kill9()

            with (
                structlog.testing.capture_logs() as logs,
                pytest.raises(HintError, match="did not answer"),
            ):
                give(hints, "route")

            assert [line["event"] for line in logs] == ["hint.failed"]
            server.start()

    def test_a_hanging_one_costs_one_hint_a_moment_and_the_others_nothing(
        self, tmp_path: Path
    ) -> None:
        with a_redis(tmp_path) as server:
            hints = RedisHints(impatient_client(server.url))
            give(hints, "route")
            server.pause()
            with pytest.raises(HintError, match="did not answer"):
                give(hints, "route")
            begun = time.monotonic()

            for kind in KINDS:
                with pytest.raises(HintError, match="a moment ago"):
                    give(hints, kind)

            assert time.monotonic() - begun < 2
            server.resume()

    def test_after_a_while_it_is_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hints_module, "HICCUP_S", 0.0)
        with a_redis(tmp_path) as server:
            hints = RedisHints(impatient_client(server.url))
            server.kill9()
            with pytest.raises(HintError):
                give(hints, "route")

            server.start()

            give(hints, "route")


def test_the_web_process_imports_no_actor_for_it() -> None:
    code = (
        "import sys, postroom.adapters.hints;"
        "print([m for m in sys.modules if m.startswith('postroom.actors')])"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"


class TestForgetting:
    def test_an_emptied_redis_has_forgotten_until_all_is_offered(
        self, redis_client: redis.Redis
    ) -> None:
        mine, another = RedisHints(redis_client), RedisHints(redis_client)
        mine.remember()
        redis_client.flushall()

        assert mine.has_forgotten()
        assert another.has_forgotten()
        mine.remember()
        assert not another.has_forgotten()

    def test_a_failure_while_all_is_offered_counts_again(
        self, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hints_module, "HICCUP_S", 0.0)
        with a_redis(tmp_path) as server:
            hints = RedisHints(impatient_client(server.url))
            assert hints.has_forgotten()
            server.pause()
            with pytest.raises(HintError):
                hints.has_forgotten()
            server.resume()
            hints.remember()

            assert hints.has_forgotten()
