"""Owners take turns in a queue on a real Valkey, whoever has filled it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from postroom.actors.broker import SteadyBroker, build_broker
from postroom.adapters.hints import RedisHints
from postroom.adapters.send_queues import RedisSendQueues
from postroom.adapters.turns import take_turns
from postroom.domain.email import Priority
from postroom.domain.hint import router_queue, send_queue
from tests.builders import ALPHA, a_hint, seconds

#: Hints that a queue takes in their order, whoever they are of.
SHORT = 32

#: A batch, many times over.
BACKLOG = 5_000

AT_ONCE = 16

NOW = timedelta(0)

Seen = list[tuple[str, str]]


@pytest.fixture
def hints(redis_client: redis.Redis) -> RedisHints:
    return RedisHints(redis_client)


@pytest.fixture
def broker(redis_client: redis.Redis) -> SteadyBroker:
    return take_turns(build_broker(redis_client))


def fill(
    hints: RedisHints, owner: str, count: int, priority: Priority = Priority.NORMAL
) -> list[str]:
    ids = [f"{owner}-{no}" for no in range(count)]
    hints.route_all(
        [(a_hint(email_id=i, owner=owner, priority=priority), NOW) for i in ids]
    )
    return ids


def fetch(broker: SteadyBroker, queue: str = "router", most: int = AT_ONCE) -> Seen:
    """Fetch and acknowledge; return owner and email of each."""
    seen = []
    for data in broker.do_fetch(queue, most):
        assert data is not None
        message = json.loads(data)
        broker.do_ack(queue, message["options"]["redis_message_id"])
        seen.append((message["args"][0]["owner"], message["args"][0]["email_id"]))
    return seen


def drain(broker: SteadyBroker, queue: str = "router") -> Seen:
    seen: Seen = []
    while some := fetch(broker, queue):
        seen += some
    return seen


def test_who_comes_after_a_backlog_has_the_next_turn(
    hints: RedisHints, broker: SteadyBroker
) -> None:
    fill(hints, "large", BACKLOG)
    small = fill(hints, "small", 3)

    seen = drain(broker)

    places = [no for no, (_, email_id) in enumerate(seen) if email_id in small]
    print(f"\nafter {BACKLOG} of another owner, fetched as no. {places}")
    assert len(seen) == BACKLOG + 3
    assert places[-1] < SHORT + 2 * len(small) + AT_ONCE


def test_each_comes_once_and_those_of_an_owner_in_their_order(
    hints: RedisHints, broker: SteadyBroker
) -> None:
    given = {
        f"owner {no}": fill(hints, f"owner {no}", 70 * (no + 1)) for no in range(5)
    }

    seen = drain(broker)

    assert Counter(seen).most_common(1)[0][1] == 1
    for owner, ids in given.items():
        assert [email_id for one, email_id in seen if one == owner] == ids


def test_owners_with_a_backlog_get_the_same_of_every_fetch(
    hints: RedisHints, broker: SteadyBroker
) -> None:
    for owner in ("a", "b", "c", "d"):
        fill(hints, owner, 500)
    fetch(broker, most=SHORT)

    some = fetch(broker, most=100)

    assert set(Counter(owner for owner, _ in some).values()) == {25}


def test_a_short_queue_is_dramatiqs_alone(
    hints: RedisHints, redis_client: redis.Redis
) -> None:
    """A process of a release before this one reads it too."""
    fill(hints, "a", SHORT)
    older = RedisBroker(client=redis_client, middleware=[])  # type: ignore[no-untyped-call]

    assert len(older.do_fetch("router", 100)) == SHORT
    assert redis_client.keys("postroom:*") == []


def test_what_an_older_release_has_left_goes_first(
    hints: RedisHints, broker: SteadyBroker, redis_client: redis.Redis
) -> None:
    older = RedisBroker(client=redis_client, middleware=[])  # type: ignore[no-untyped-call]
    for no in range(SHORT + 5):
        older.do_enqueue("router", f"old-{no}", _older_message(f"old-{no}"))
    fill(hints, "a", 5)

    first = broker.do_fetch("router", SHORT + 5)

    assert all(b"old-" in (data or b"") for data in first)
    assert len(broker.do_fetch("router", 100)) == 5


@pytest.mark.parametrize("data", [b"no json", b"[]", b"{}", b'{"args": ["id"]}'])
def test_what_has_no_owner_stays_in_the_queue(
    hints: RedisHints, broker: SteadyBroker, redis_client: redis.Redis, data: bytes
) -> None:
    fill(hints, "a", SHORT + 1)

    broker.do_enqueue("router", "odd", data)

    assert redis_client.lrange("dramatiq:router", -1, -1) == [b"odd"]


def test_each_priority_has_turns_of_its_own(
    hints: RedisHints, broker: SteadyBroker
) -> None:
    fill(hints, "large", BACKLOG, Priority.LOW)
    reset = fill(hints, "large", 1)

    (first,) = fetch(broker, router_queue(Priority.NORMAL))

    assert first == ("large", reset[0])
    assert fetch(broker, router_queue(Priority.HIGH)) == []


def test_a_delayed_hint_waits_for_its_time_alone(
    hints: RedisHints, redis_client: redis.Redis
) -> None:
    many = [(a_hint(owner="a"), seconds(30))] * (2 * SHORT)

    hints.route_all(many)

    assert redis_client.llen("dramatiq:router.DQ") == 2 * SHORT
    assert redis_client.keys("postroom:*") == []


def test_a_hint_costs_one_trip_and_so_does_a_fetch(
    hints: RedisHints, broker: SteadyBroker, redis_client: redis.Redis
) -> None:
    fill(hints, "a", 2 * SHORT)
    fetch(broker)
    redis_client.config_resetstat()

    hints.route(a_hint(owner="b"))
    broker.do_fetch("router", 1)

    stats: Any = redis_client.info("commandstats")
    asked = {name: each["calls"] for name, each in stats.items()}
    assert asked["cmdstat_evalsha"] == 2
    assert not {"cmdstat_eval", "cmdstat_script|load"} & set(asked)


def test_what_is_put_back_comes_again(hints: RedisHints, broker: SteadyBroker) -> None:
    ids = fill(hints, "a", 2 * SHORT)
    some = [json.loads(data or b"") for data in broker.do_fetch("router", 5)]

    broker.do_requeue("router", *[m["options"]["redis_message_id"] for m in some])

    assert {email_id for _, email_id in drain(broker)} == set(ids)


def test_an_emptied_queue_leaves_nothing_behind(
    hints: RedisHints, broker: SteadyBroker, redis_client: redis.Redis
) -> None:
    queue = send_queue(ALPHA)
    for no in range(2 * SHORT):
        hints.send(ALPHA, a_hint(email_id=str(no), owner=f"owner {no % 3}"))

    assert RedisSendQueues(redis_client).backlog() == {queue: 2 * SHORT}
    assert RedisSendQueues(redis_client).clear(ALPHA) == 2 * SHORT
    assert redis_client.keys("*waiting*") + redis_client.keys("*turns*") == []

    for no in range(2 * SHORT):
        hints.send(ALPHA, a_hint(email_id=str(no), owner=f"owner {no % 3}"))
    broker.do_purge(queue)
    assert redis_client.keys("*waiting*") + redis_client.keys("*turns*") == []


def test_an_id_without_its_message_is_passed_over(
    hints: RedisHints, broker: SteadyBroker, redis_client: redis.Redis
) -> None:
    fill(hints, "a", 2 * SHORT)
    gone = redis_client.lrange("postroom:waiting:router:a", 0, 4)
    redis_client.hdel("dramatiq:router.msgs", *gone)

    assert len(drain(broker)) == 2 * SHORT - 5


def _older_message(email_id: str) -> bytes:
    fields = {"email_id": email_id, "v": 1}
    message = {
        "queue_name": "router",
        "actor_name": "ProviderRouter",
        "args": [fields],
        "kwargs": {},
        "options": {"redis_message_id": email_id},
        "message_id": email_id,
        "message_timestamp": 1,
    }
    return json.dumps(message).encode()
