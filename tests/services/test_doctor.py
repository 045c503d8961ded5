"""The doctor asks only what can answer, and never raises."""

from dataclasses import replace
from datetime import datetime

import pytest

from postroom.adapters.heartbeats import MemoryHeartbeats
from postroom.adapters.memory_archive import MemoryArchive
from postroom.domain.archive import Counts
from postroom.domain.check import Check
from postroom.domain.email import State
from postroom.domain.errors import ClockUnsureError, SearchTimeoutError
from postroom.services.doctor import Doctor
from postroom.services.ready import OLDEST_BEAT
from tests.builders import ALPHA, a_held_email, an_email, at, seconds
from tests.services.findings import (
    Given,
    Queues,
    a_lonely_board,
    a_self_check,
    not_fine,
    results,
)
from tests.simulation import Simulation


@pytest.fixture
def doctor(world: Simulation) -> Doctor:
    beats = MemoryHeartbeats(world.clock)
    beats.beat(*OLDEST_BEAT, "scheduler")
    return Doctor(
        self_check=a_self_check(),
        store=world.store,
        archive=MemoryArchive(world.store),
        panel=world.board,
        heartbeats=beats,
        clock=world.clock,
        names=tuple(world.providers),
    )


def named(checks: tuple[Check, ...], name: str) -> Check:
    (check,) = (check for check in checks if check.name == name)
    return check


def test_a_service_in_order_has_nothing_to_mend(
    doctor: Doctor, world: Simulation
) -> None:
    world.post()
    world.run(seconds(30))

    checks = doctor()

    assert not_fine(checks) == {}
    assert named(checks, "emails").found == "sent 1"


def test_all_that_waits_for_somebody_is_found(
    doctor: Doctor, world: Simulation
) -> None:
    world.store.put(a_held_email(email_id="0" * 24))
    world.store.put(an_email(State.FAILED, email_id="1" * 24))
    world.store.put(an_email(email_id="2" * 24, due_at=at(-600)))
    world.board.drain(ALPHA)

    assert not_fine(doctor()) == {
        "held": "warn",
        "dead_letters": "warn",
        "oldest_due": "warn",
        "provider.alpha": "warn",
    }


def test_without_mongodb_no_email_is_asked_for(doctor: Doctor) -> None:
    checks = replace(doctor, self_check=a_self_check(Given(mongodb=None)))()

    assert not_fine(checks) == {"mongodb": "fail"}
    assert not {"emails", "oldest_due"} & set(results(checks))


def test_without_redis_no_process_is_blamed(doctor: Doctor) -> None:
    checks = replace(doctor, self_check=a_self_check(Given(queue=None)))()

    assert not_fine(checks) == {"redis": "fail"}
    assert not {"worker", "provider.alpha"} & set(results(checks))


def test_redis_going_away_in_between_is_no_verdict_on_anybody(
    doctor: Doctor, world: Simulation
) -> None:
    class Away(MemoryHeartbeats):
        def ages(self) -> None:
            return None

    panel = a_lonely_board(world)

    checks = replace(doctor, heartbeats=Away(world.clock), panel=panel)()

    assert not_fine(checks) == {}
    assert "provider.alpha" not in results(checks)


def test_too_many_to_count_is_a_warning(doctor: Doctor, world: Simulation) -> None:
    class Full(MemoryArchive):
        def counts(self) -> Counts:
            raise SearchTimeoutError("too long")

    checks = replace(doctor, archive=Full(world.store))()

    assert not_fine(checks) == {"emails": "warn"}


def test_mongodb_going_away_in_between_is_told(
    doctor: Doctor, world: Simulation
) -> None:
    class Unsure:
        def now(self) -> datetime:
            raise ClockUnsureError("not seen")

        def monotonic(self) -> float:
            return 0.0

    checks = replace(doctor, clock=Unsure())()

    assert not_fine(checks) == {"oldest_due": "fail", "dead_letters": "fail"}


def test_what_the_settings_warn_of_comes_first(doctor: Doctor) -> None:
    first, *_ = replace(doctor, self_check=a_self_check(warnings=("no key",)))()

    assert (first.name, first.found) == ("settings", "no key")


def test_a_queue_of_nobody_is_found(doctor: Doctor) -> None:
    old = a_self_check(queues=Queues({"send.old": 12}))

    assert not_fine(replace(doctor, self_check=old)()) == {"queue.send.old": "warn"}


def test_queues_that_cannot_be_read_are_left_out(doctor: Doctor) -> None:
    away = a_self_check(queues=Queues(None))

    assert not_fine(replace(doctor, self_check=away)()) == {}
