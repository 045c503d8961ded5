"""A shared script: trips are shared, replies and faults are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import redis

from postroom.adapters import gathering
from postroom.adapters.shared_script import SharedScript
from tests.adapters.breakers.parts import impatient_client
from tests.servers import a_redis

#: Counts a key up, and says by how much and to what; refuses less than nothing.
COUNT = """
if tonumber(ARGV[1]) < 0 then
    return redis.error_reply('no')
end
return {ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}
"""

THREADS = 20
CALLS = 200


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody go by itself, however slow the machine is."""
    monkeypatch.setattr(gathering, "PATIENCE_S", 20.0)


def a_script(client: redis.Redis) -> SharedScript:
    return SharedScript(client, client.register_script(COUNT))


def by(script: SharedScript, number: int) -> int:
    said, _ = script(keys=["sum"], args=[number])
    return int(said)


def test_each_thread_has_its_own_reply(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)

    with ThreadPoolExecutor(THREADS) as pool:
        replies = list(pool.map(partial(by, script), range(CALLS)))

    assert replies == list(range(CALLS))
    assert int(redis_client.get("sum") or 0) == sum(range(CALLS))


def test_trips_are_shared(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)
    trips: list[int] = []
    run = script._run
    script._together = gathering.Gathering(
        lambda calls: (trips.append(len(calls)), run(calls))[1]
    )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(partial(by, script), range(CALLS)))

    assert sum(trips) == CALLS
    assert len(trips) < CALLS


def test_who_is_refused_is_alone_with_that(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)

    def refused(number: int) -> bool:
        try:
            return by(script, -1 if number % 10 == 0 else 1) != 1
        except redis.ResponseError as ex:
            return str(ex) == "no"

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(refused, range(CALLS)))

    assert found == [number % 10 == 0 for number in range(CALLS)]


def test_all_of_them_go_in_one_trip(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)
    calls = [lambda: script(keys=["sum"], args=[2])] * 50

    script.all_of(calls)
    script.all_of([])

    assert int(redis_client.get("sum") or 0) == 100
    assert by(script, 1) == 1  # and then each by itself again


def test_one_that_is_refused_of_all_is_told(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)

    with pytest.raises(redis.ResponseError, match="no"):
        script.all_of([partial(by_both, script, number) for number in (1, -1, 3)])

    assert int(redis_client.get("sum") or 0) == 4


def by_both(script: SharedScript, number: int) -> None:
    script(keys=["sum"], args=[number])


def test_a_server_that_forgot_it_is_told_again(redis_client: redis.Redis) -> None:
    script = a_script(redis_client)
    redis_client.script_flush()

    script.all_of([partial(by_both, script, 1)] * 3)
    redis_client.script_flush()
    assert by(script, 5) == 5

    assert int(redis_client.get("sum") or 0) == 8


def test_a_server_that_is_away_is_so_for_all(tmp_path: Path) -> None:
    with a_redis(tmp_path) as server:
        script = a_script(impatient_client(server.url))
        assert by(script, 1) == 1
        server.kill9()

        def is_away(number: int) -> bool:
            try:
                by(script, number)
            except redis.ConnectionError:
                return True
            return False

        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(is_away, range(THREADS)))
        with pytest.raises(redis.ConnectionError):
            script.all_of([partial(by_both, script, 1)] * 3)

        server.start()
        assert by(script, 1) == 1
