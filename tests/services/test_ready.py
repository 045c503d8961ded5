"""Ready means that mail can be accepted; the rest is said, not refused."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from postroom.adapters.memory_store import MemoryStore
from postroom.services.ready import OLDEST_BEAT, Readiness, Ready

FRESH = dict.fromkeys(OLDEST_BEAT, timedelta(0))


class Beats:
    def __init__(self, ages: Mapping[str, timedelta] | None) -> None:
        self._ages = ages

    def beat(self, part: str) -> None:
        raise AssertionError("looking leaves no sign of life")

    def ages(self) -> Mapping[str, timedelta] | None:
        return self._ages


def ready(
    ages: Mapping[str, timedelta] | None, store: MemoryStore | None = None
) -> Readiness:
    return Ready(store=store or MemoryStore(), heartbeats=Beats(ages))()


def test_with_all_parts_alive_nothing_is_degraded() -> None:
    assert ready(dict(OLDEST_BEAT)) == Readiness(accepting=True, degraded=())


@pytest.mark.parametrize("part", OLDEST_BEAT)
def test_a_part_that_is_silent_or_was_never_seen_is_named(part: str) -> None:
    late = FRESH | {part: OLDEST_BEAT[part] + timedelta(milliseconds=1)}
    never = {name: age for name, age in FRESH.items() if name != part}

    assert ready(late).degraded == (part,)
    assert ready(never).degraded == (part,)


def test_redis_away_is_no_reason_to_turn_mail_away() -> None:
    assert ready(None) == Readiness(accepting=True, degraded=("redis",))


def test_a_store_that_takes_no_writes_is() -> None:
    class ReadOnly(MemoryStore):
        def is_writable(self) -> bool:
            return False

    assert not ready(FRESH, ReadOnly()).accepting
