"""What is counted as a trip, a command, or a wait for work."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable

import bson
import redis

from benchmarks.wire import MongoReading, Monitor, RedisReading, Said, Server, Taps

#: Bound on a wait, in seconds; only a fault reaches it.
PATIENCE_S = 30.0


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def words(*given: bytes) -> bytes:
    bulk = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in given)
    return b"*%d\r\n%b" % (len(given), bulk)


def told(heard: list[Said]) -> list[tuple[str, bool, bool]]:
    return [(said.label, said.is_trip, said.is_empty) for said in heard]


def test_a_pipeline_is_one_trip() -> None:
    heard: list[Said] = []
    reading = RedisReading("web", "1:1", heard)

    reading.request(words(b"SET", b"a", b"1") + words(b"GET", b"a"))
    reading.reply(b"+OK\r\n$1\r\n1\r\n")
    reading.request(words(b"GET", b"a"))
    reading.reply(b"$1\r\n1\r\n")

    assert told(heard) == [
        ("set", True, False),
        ("get", False, False),
        ("get", True, False),
    ]


def test_a_fetch_of_nothing_is_a_wait_and_an_empty_answer_to_others_is_not() -> None:
    heard: list[Said] = []
    reading = RedisReading("worker", "1:1", heard)
    fetch = words(b"EVALSHA", b"sha", b"1", b"dramatiq", b"fetch", b"7")

    for request in (fetch, words(b"BLPOP", b"bell", b"1"), words(b"GET", b"a")):
        reading.request(request[:9])  # in two pieces
        reading.request(request[9:])
        reading.reply(b"*-1\r\n")

    assert told(heard) == [
        ("evalsha fetch", True, True),
        ("blpop", True, True),
        ("get", True, False),
    ]


def test_greetings_belong_to_no_email() -> None:
    heard: list[Said] = []
    reading = RedisReading("web", "1:1", heard)

    reading.request(words(b"CLIENT", b"SETNAME", b"x"))
    reading.reply(b"+OK\r\n")

    assert heard == []


def test_a_command_of_mongodb_is_named_with_its_collection() -> None:
    heard: list[Said] = []
    body = struct.pack("<IB", 0, 0) + bson.encode({"find": "emails", "$db": "postroom"})
    message = struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body
    hello = struct.pack("<iiii", 16, 1, 0, 2004)

    MongoReading("web", "1:1", heard).request(hello + message)

    assert told(heard) == [("find emails", True, False)]


def test_what_a_script_does_is_counted_for_who_called_it(redis_url: str) -> None:
    with (
        Monitor(redis_url) as monitor,
        Taps("mongodb://127.0.0.1:1/postroom", redis_url) as taps,
    ):
        with redis.Redis.from_url(taps.environ("web")["REDIS_URL"]) as client:
            client.ping()
            client.eval("redis.call('get', 'a') redis.call('get', 'b')", 0)
            client.echo("the end")
        wait_until(lambda: ("echo", 1) in [*itertools.chain(*monitor.seen())])
        monitor.fill_in(taps.heard)

    assert [(s.owner, s.server, s.name, s.commands) for s in taps.heard] == [
        ("web", Server.REDIS, "eval", 3),
        ("web", Server.REDIS, "echo", 1),
    ]
