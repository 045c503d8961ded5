"""A replay redrives what is safe to redrive, and tells of the rest."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.adapters.memory_archive import MemoryArchive
from postroom.domain.archive import DeadLetters
from postroom.domain.email import Delivery, Email, State
from postroom.domain.errors import InvalidValueError
from postroom.domain.hint import Hint
from postroom.services import replay as replay_module
from postroom.services.replay import Replay
from tests.builders import TIMED_OUT, an_attempt, an_email, at
from tests.simulation import Simulation


def an_id(no: int) -> str:
    return f"{no:024x}"


def dead(world: Simulation, no: int, **given: object) -> str:
    email: Email = an_email(
        State.FAILED,
        **{"email_id": an_id(no), "reason": "expired", "dead_at": at(-no)} | given,
    )
    world.store.put(email)
    return email.email_id


@pytest.fixture
def replay(world: Simulation) -> Replay:
    return Replay(
        archive=MemoryArchive(world.store), hints=world.hints, redrive=world.redrive
    )


def test_all_that_fit_are_sent_after_all(world: Simulation, replay: Replay) -> None:
    ids = [dead(world, no) for no in range(3)]
    other = dead(world, 9, reason="no_provider")

    replayed = replay(DeadLetters(reason="expired"), limit=10)
    world.take_hints()
    world.run()

    assert set(replayed.replayed) == set(ids)
    assert [world.email(email_id).state for email_id in ids] == [State.SENT] * 3
    assert world.email(other).state is State.FAILED


def test_the_oldest_go_first(world: Simulation, replay: Replay) -> None:
    ids = [dead(world, no) for no in range(3)]

    replayed = replay(DeadLetters(), limit=2)

    assert replayed.replayed == (ids[2], ids[1])
    assert replayed.has_more


def test_hints_go_in_batches_and_the_last_one_too(
    world: Simulation, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 2)
    asked: list[int] = []
    together = world.hints.route_all

    def route_all(hints: Sequence[tuple[Hint, timedelta]]) -> None:
        asked.append(len(hints))
        together(hints)

    monkeypatch.setattr(world.hints, "route_all", route_all)
    for no in range(5):
        dead(world, no)

    assert len(replay(DeadLetters(), limit=10).replayed) == 5
    assert asked == [2, 2, 1]


def test_without_redis_they_are_left_to_the_sweep(
    world: Simulation, replay: Replay
) -> None:
    email_id = dead(world, 1)
    world.hints.away = True

    assert replay(DeadLetters(), limit=10).replayed == (email_id,)

    world.hints.away = False
    assert world.email(email_id).state is State.QUEUED
    assert world.hints.hinted == []


def test_a_dry_run_changes_nothing(world: Simulation, replay: Replay) -> None:
    email_id = dead(world, 1)

    replayed = replay(DeadLetters(), limit=10, dry_run=True)

    assert (replayed.found, replayed.replayed) == (1, ())
    assert world.email(email_id).state is State.FAILED


def test_one_that_may_be_out_holds_up_no_other(
    world: Simulation, replay: Replay
) -> None:
    unsafe = dead(
        world,
        2,
        delivery=Delivery.AT_MOST_ONCE,
        attempts=(an_attempt(TIMED_OUT),),
    )
    safe = dead(world, 1)

    replayed = replay(DeadLetters(), limit=10)

    assert replayed.replayed == (safe,)
    assert list(replayed.refused) == [unsafe]
    assert replayed.stopped is None


def test_one_that_somebody_else_redrove_is_left_alone(
    world: Simulation, replay: Replay
) -> None:
    email_id = dead(world, 1)
    archive = replay.archive

    class Slow(MemoryArchive):
        def dead_letters(self, *given: object, **more: object) -> object:  # type: ignore[override]
            found = archive.dead_letters(*given, **more)  # type: ignore[arg-type]
            world.redrive(email_id)
            return found

    replayed = replace(replay, archive=Slow(world.store))(DeadLetters(), limit=10)

    assert list(replayed.refused) == [email_id]
    assert world.email(email_id).redrives == 1


def test_a_store_that_goes_away_ends_it_with_what_was_done(
    world: Simulation, replay: Replay
) -> None:
    ids = [dead(world, no) for no in range(3)]

    def go_away(change: object) -> None:
        world.store.away = change.email_id == ids[1]  # type: ignore[attr-defined]

    world.store.before_apply = go_away
    replayed = replay(DeadLetters(), limit=10)

    assert replayed.replayed == (ids[2],)
    assert replayed.stopped == "away"
    assert replayed.found == 3


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_out_of_range_is_refused(replay: Replay, limit: int) -> None:
    with pytest.raises(InvalidValueError, match="limit must be 1 to 1000"):
        replay(DeadLetters(), limit=limit)
