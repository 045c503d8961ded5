"""What is fine, what is doubtful and what is wrong, one line a rule."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.domain.archive import Counts
from postroom.domain.email import State
from postroom.domain.inspection import RedisFacts, StoreFacts
from postroom.domain.ports import BreakerView
from postroom.domain.routing import BreakerState, Health
from postroom.services import checkup
from postroom.services.checkup import Result
from postroom.services.ready import OLDEST_BEAT
from tests.builders import ALPHA, NOW, an_email, an_open_breaker, at, seconds
from tests.services.findings import MONGODB, REDIS, not_fine, results


def test_a_sound_mongodb_is_fine() -> None:
    assert not_fine(checkup.of_store(MONGODB)) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, {"mongodb": "fail"}),
        (replace(MONGODB, writable=False), {"mongodb": "fail"}),
        (replace(MONGODB, version="5.0.1"), {"mongodb.version": "warn"}),
        (replace(MONGODB, version="strange"), {"mongodb.version": "warn"}),
        (replace(MONGODB, replica_set=None), {"mongodb.replica_set": "warn"}),
        (replace(MONGODB, missing_indexes=("due",)), {"mongodb.indexes": "fail"}),
        (replace(MONGODB, offset=seconds(5)), {}),
        (replace(MONGODB, offset=seconds(5.1)), {"clock": "warn"}),
        (replace(MONGODB, offset=seconds(-120)), {"clock": "warn"}),
    ],
)
def test_a_mongodb_that_is_not(
    facts: StoreFacts | None, expected: dict[str, str]
) -> None:
    assert not_fine(checkup.of_store(facts)) == expected


@pytest.mark.parametrize(
    ("offset", "told"), [(120, "120 s ahead of"), (-120, "120 s behind")]
)
def test_a_wrong_clock_says_which_way(offset: float, told: str) -> None:
    facts = replace(MONGODB, offset=seconds(offset))

    (clock,) = (c for c in checkup.of_store(facts) if c.name == "clock")

    assert told in clock.found


def test_a_sound_redis_is_fine() -> None:
    assert not_fine(checkup.of_redis(REDIS)) == {}
    assert not_fine(checkup.of_redis(replace(REDIS, memory_used=0.9))) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, {"redis": "fail"}),
        (replace(REDIS, is_replica=True), {"redis": "fail"}),
        (replace(REDIS, version="6.2.0"), {"redis.version": "warn"}),
        (replace(REDIS, eviction_policy="allkeys-lru"), {"redis.eviction": "fail"}),
        (replace(REDIS, eviction_policy=None), {"redis.eviction": "warn"}),
        (replace(REDIS, append_only=False), {"redis.persistence": "warn"}),
        (replace(REDIS, append_only=None), {"redis.persistence": "warn"}),
        (replace(REDIS, memory_used=0.91), {"redis.memory": "warn"}),
    ],
)
def test_a_redis_that_is_not(
    facts: RedisFacts | None, expected: dict[str, str]
) -> None:
    assert not_fine(checkup.of_redis(facts)) == expected


@pytest.mark.parametrize("part", OLDEST_BEAT)
def test_a_silent_process_is_named(part: str) -> None:
    fresh = dict.fromkeys(OLDEST_BEAT, seconds(1))
    late = fresh | {part: OLDEST_BEAT[part] + seconds(1)}
    never = {name: age for name, age in fresh.items() if name != part}

    assert not_fine(checkup.of_beats(fresh)) == {}
    assert not_fine(checkup.of_beats(late)) == {part: "fail"}
    assert not_fine(checkup.of_beats(never)) == {part: "fail"}


def view(**health: object) -> BreakerView:
    return BreakerView(health=Health(**health), calls=9, failures=2)  # type: ignore[arg-type]


SICK = [
    BreakerView(health=an_open_breaker(retry_at=NOW)),
    view(state=BreakerState.HALF_OPEN),
    view(drained=True),
    view(resume_at=at(30)),
]


def test_a_closed_breaker_is_fine() -> None:
    check = checkup.of_provider(ALPHA, view())

    assert not_fine([check]) == {}
    assert check.found == "breaker closed, 2 of 9 calls failed lately"


@pytest.mark.parametrize(
    ("sick", "told"),
    [
        (SICK[0], "open, next probe at 12:00:00 UTC"),
        (SICK[1], "half_open, next probe at any moment"),
        (SICK[2], "drained"),
        (SICK[3], "paused until 12:00:30 UTC"),
    ],
)
def test_a_provider_that_gets_no_mail_says_why(sick: BreakerView, told: str) -> None:
    check = checkup.of_provider(ALPHA, sick)

    assert not_fine([check]) == {"provider.alpha": "warn"}
    assert told in check.found


@pytest.mark.parametrize("sick", SICK)
def test_while_one_provider_can_be_used_mail_flows(sick: BreakerView) -> None:
    assert not_fine(checkup.of_providers([sick, view()])) == {}
    assert not_fine(checkup.of_providers([sick, sick])) == {"providers": "fail"}


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [(-5, "ok"), (120, "ok"), (121, "warn"), (900, "warn"), (901, "fail")],
)
def test_an_overdue_email_is_told_by_how_late_it_is(
    late_s: float, expected: str
) -> None:
    email = an_email(due_at=at(-late_s))

    check = checkup.of_oldest_due(email, now=NOW)

    assert check.result.value == expected
    assert (email.email_id in check.found) is (expected != "ok")


def test_nothing_due_is_fine() -> None:
    assert checkup.of_oldest_due(None, now=NOW).result is Result.OK


def test_counts_are_told_and_held_mail_is_a_warning() -> None:
    counts = Counts(by_state={State.SENT: 7, State.UNKNOWN: 2}, held=2)
    emails, held = checkup.of_counts(counts)

    assert emails.found == "sent 7, unknown 2"
    assert (held.result, held.found) == (
        Result.WARN,
        "2 emails wait for you to decide",
    )
    assert not_fine(checkup.of_counts(Counts(by_state={}, held=0))) == {}


def test_dead_letters_of_the_last_day_are_news() -> None:
    news = checkup.of_dead_letters(all_of_them=9, lately=1)
    old = checkup.of_dead_letters(all_of_them=9, lately=0)

    assert (news.result, old.result) == (Result.WARN, Result.OK)
    assert old.found == "0 of the last day, 9 in all"


def test_warnings_of_the_settings_are_passed_on() -> None:
    assert results(checkup.of_settings([])) == {"settings": "ok"}
    assert [c.found for c in checkup.of_settings(["a", "b"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (seconds(59), "59 s"),
        (seconds(119), "119 s"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=48), "2 days"),
    ],
)
def test_ages_are_told_as_people_say_them(age: timedelta, told: str) -> None:
    (worker, *_) = checkup.of_beats({"worker": age})

    assert told in worker.found
