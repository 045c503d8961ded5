"""Who may start on what, and what is told of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.domain.check import Check, Result, Rule
from postroom.domain.errors import SettingsError, StartRefusedError
from postroom.domain.inspection import HURRIED
from postroom.domain.policy import Policy
from postroom.services import rules
from postroom.services.ready import OLDEST_BEAT
from postroom.services.self_check import SelfCheck, Watch, start
from tests.builders import seconds
from tests.services.findings import (
    MONGODB,
    REDIS,
    Given,
    Queues,
    a_self_check,
    results,
)

EVICTING = Given(queue=replace(REDIS, eviction_policy="allkeys-lru"))
FORGETFUL = Given(mongodb=replace(MONGODB, durable=False))
SHORT = Policy(lease=seconds(20), timeout=seconds(15))


def told_by(check: SelfCheck, *, queues: bool = False) -> dict[str, str]:
    told: list[Check] = []
    start(check, told.append, queues=queues)
    return results(told)


def test_on_sound_servers_a_process_starts_without_a_word() -> None:
    assert told_by(a_self_check()) == {}


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (a_self_check(EVICTING), "redis.eviction"),
        (a_self_check(FORGETFUL), "mongodb.write_concern"),
        (a_self_check(policy=SHORT), "lease"),
    ],
)
def test_what_would_lose_or_double_email_is_refused_with_what_to_do(
    check: SelfCheck, name: str
) -> None:
    told: list[Check] = []

    with pytest.raises(StartRefusedError, match="refuses to start") as caught:
        start(check, told.append)

    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: ")
    assert fault.count("; ") >= 1
    assert told == []


def test_a_refusal_is_an_error_of_the_settings_for_whoever_asks() -> None:
    assert issubclass(StartRefusedError, SettingsError)


def test_all_refusals_come_at_once() -> None:
    both = Given(mongodb=FORGETFUL.mongodb, queue=EVICTING.queue)

    with pytest.raises(StartRefusedError) as caught:
        start(a_self_check(both, policy=SHORT), lambda _: None)

    assert len(caught.value.faults) == 3


def test_a_server_that_is_away_keeps_nobody_from_starting() -> None:
    nobody = Given(mongodb=None, queue=None)

    told = told_by(a_self_check(nobody), queues=True)

    assert told == {"mongodb": "fail", "redis": "fail"}


def test_what_is_doubtful_is_told_and_no_more() -> None:
    alone = Given(
        mongodb=replace(MONGODB, replica_set=None, offset=seconds(9)),
        queue=replace(REDIS, memory_used=0.8),
    )
    check = a_self_check(alone, policy=SHORT, production=False, warnings=("no",))

    assert told_by(check) == {
        "settings": "warn",
        "lease": "warn",
        "mongodb.replica_set": "warn",
        "clock": "warn",
        "redis.memory": "warn",
    }


def test_only_a_process_that_asks_for_it_tells_of_queues() -> None:
    check = a_self_check(queues=Queues({"send.old": 12, "send.alpha": 1}))

    assert told_by(check) == {}
    assert told_by(check, queues=True) == {"queue.send.old": "warn"}


def test_what_a_process_is_about_to_mend_is_not_told() -> None:
    bare = Given(mongodb=replace(MONGODB, missing_indexes=("due",)))
    told: list[Check] = []

    start(a_self_check(bare), told.append, without={rules.INDEXES})

    assert told == []


def test_a_process_that_can_do_without_a_key_starts_without_one() -> None:
    closed = Given(mongodb=replace(MONGODB, usable_keys=0))
    told: list[Check] = []

    with pytest.raises(StartRefusedError, match="keys: there is none"):
        start(a_self_check(closed), told.append)
    start(a_self_check(closed), told.append, without={rules.KEYS})

    assert told == []


def test_a_start_does_not_wait_as_long_as_a_doctor() -> None:
    given = Given()

    start(a_self_check(given), lambda _: None)

    assert given.patience == HURRIED


class Living(MemoryHeartbeats):
    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.beat(*OLDEST_BEAT, "scheduler")


def a_watch(check: SelfCheck, beats: MemoryHeartbeats) -> tuple[Watch, list[Check]]:
    told: list[Check] = []
    return Watch(check=check, heartbeats=beats, tell=told.append), told


def test_a_watch_tells_of_what_is_new_and_tells_it_once() -> None:
    given = Given()
    watch, told = a_watch(a_self_check(given), Living())
    watch()
    assert told == []

    given.queue = EVICTING.queue
    watch()
    watch()
    assert results(told) == {"redis.eviction": "refuse"}
    assert len(told) == 1

    given.queue = REDIS
    watch()
    given.queue = EVICTING.queue
    watch()
    assert len(told) == 2


def test_a_watch_misses_processes_and_the_workers_of_queues() -> None:
    beats = MemoryHeartbeats(FakeClock())
    beats.beat("worker", "router", "sweep")
    watch, told = a_watch(a_self_check(queues=Queues({"send.alpha": 1})), beats)

    watch()

    assert results(told) == {"scheduler": "warn", "queue.send.alpha": "warn"}


def test_a_watch_without_redis_looks_no_further() -> None:
    watch, told = a_watch(a_self_check(Given(queue=None)), Living())

    watch()

    assert results(told) == {"redis": "fail"}


def test_a_watch_bears_redis_going_away_in_between() -> None:
    class Away(MemoryHeartbeats):
        def ages(self) -> Mapping[str, timedelta] | None:
            return None

    watch, told = a_watch(a_self_check(), Away(FakeClock()))

    watch()

    assert told == []


def test_no_check_comes_out_worse_than_its_rule_says() -> None:
    rule = Rule(name="x", looks_at="y", worst=Result.WARN)

    assert rule.warn("found", "do").result is Result.WARN
    with pytest.raises(ValueError, match="x: fail, expected warn at worst"):
        rule.fail("found", "do")


def test_every_rule_is_in_the_table_once() -> None:
    defined = {value for value in vars(rules).values() if isinstance(value, Rule)}

    assert len(rules.TABLE) == len(set(rules.TABLE))
    assert set(rules.TABLE) == defined
