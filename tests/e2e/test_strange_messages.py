"""Messages that nobody here understands: no email is lost, and nothing runs hot."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from postroom.actors.following import MOST_UNEXPECTED
from tests.e2e.load import sends
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_provider import AsProcess

#: Emails with a good message, for each with a strange one: fetched together with it.
GOOD = 2

Message = dict[str, Any]


def as_bytes(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def of_a_newer_version(message: Message) -> bytes:
    message["args"][0]["v"] = 2
    return as_bytes(message)


def with_unknown_fields(message: Message) -> bytes:
    message["args"][0] |= {"newer": {"than": "ours"}}
    return as_bytes(message)


def with_missing_fields(message: Message) -> bytes:
    del message["args"][0]["recipients"]
    return as_bytes(message)


def with_no_arguments(message: Message) -> bytes:
    return as_bytes(message | {"args": []})


def for_an_unknown_actor(message: Message) -> bytes:
    return as_bytes(message | {"actor_name": "ProviderRouter2"})


def undecodable(_message: Message) -> bytes:
    return b"\xff{"


Strange = Callable[[Message], bytes]

#: Each with whether its message is given up at once. One without arguments looks like
#: a fault of ours and is tried three times more, with long waits between.
STRANGE: dict[Strange, bool] = {
    of_a_newer_version: True,
    with_unknown_fields: False,
    with_missing_fields: True,
    with_no_arguments: True,
    for_an_unknown_actor: True,
    undecodable: False,
}


@pytest.fixture
def client(service: Service) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(service.redis.url) as client:
        yield client


def stop(service: Service, name: str) -> None:
    service.signal(name, signal.SIGTERM)
    service.processes[name].wait(PATIENCE_S)


def make_strange(client: redis.Redis, changes: dict[str, Strange]) -> None:
    """Rewrite the router's messages of these emails where they lie."""
    for key, data in client.hgetall("dramatiq:router.msgs").items():
        message = json.loads(data)
        change = changes.get(message["args"][0]["email_id"])
        if change is not None:
            client.hset("dramatiq:router.msgs", key, change(message))


def lines_of(service: Service, name: str, *words: str) -> int:
    lines = service.log(name).splitlines()
    return sum(all(word in line for word in words) for line in lines)


def test_their_emails_are_sent_and_they_are_looked_at_a_few_times_only(
    service: Service, fake: AsProcess, client: redis.Redis
) -> None:
    stop(service, "router")
    client.flushdb()
    changes = {}
    ids = []
    for strange in STRANGE:
        ids += [service.accept() for _ in range(GOOD)]
        ids.append(service.accept(subject=strange.__name__))
        changes[ids[-1]] = strange
    make_strange(client, changes)

    service.start("router")

    service.wait_for_state(ids, "sent")
    assert all(sends(fake)[email_id] == 1 for email_id in ids)
    service.wait_until(
        lambda: not client.hlen("dramatiq:router.msgs"), "an empty queue"
    )
    service.wait_until(
        lambda: client.hlen("dramatiq:router.XQ.msgs") == sum(STRANGE.values()),
        lambda: f"{client.hlen('dramatiq:router.XQ.msgs')} messages given up",
    )
    assert lines_of(service, "router", "message.unreadable") == 1
    tries = lines_of(service, "router", "TypeError")
    assert tries <= 1 + MOST_UNEXPECTED
    assert lines_of(service, "router", "undefined actor") == 1
    assert lines_of(service, "router", "Restarting consumer") == 0
    assert lines_of(service, "router", "found a bug") == 0


def test_the_queue_of_a_provider_that_is_gone_keeps_no_email_back(
    service: Service, fake: AsProcess, client: redis.Redis
) -> None:
    stop(service, "router")
    ids = [service.accept() for _ in range(3)]
    moved = [
        json.loads(data) | {"queue_name": "send.gone", "actor_name": "send.gone"}
        for data in client.hvals("dramatiq:router.msgs")
    ]
    client.delete("dramatiq:router", "dramatiq:router.msgs")
    for message in moved:
        key = message["options"]["redis_message_id"]
        client.hset("dramatiq:send.gone.msgs", key, as_bytes(message))
        client.rpush("dramatiq:send.gone", key)

    service.start("router")

    service.wait_for_state(ids, "sent")
    assert all(sends(fake)[email_id] == 1 for email_id in ids)
