"""What is fine, what is doubtful and what is wrong, one line a rule."""

from datetime import timedelta

import pytest

from postroom.domain.archive import Counts
from postroom.domain.check import Result
from postroom.domain.email import State
from postroom.domain.ports import BreakerView
from postroom.domain.routing import BreakerState, Health
from postroom.services import checkup
from postroom.services.ready import OLDEST_BEAT
from tests.builders import ALPHA, BETA, NOW, an_email, an_open_breaker, at, seconds
from tests.services.findings import not_fine


@pytest.mark.parametrize("part", OLDEST_BEAT)
def test_a_silent_process_is_named(part: str) -> None:
    fresh = dict.fromkeys((*OLDEST_BEAT, "scheduler"), seconds(1))
    late = fresh | {part: OLDEST_BEAT[part] + seconds(1)}
    never = {name: age for name, age in fresh.items() if name != part}

    assert not_fine(checkup.of_beats(fresh)) == {}
    assert not_fine(checkup.of_beats(late)) == {part: "fail"}
    assert not_fine(checkup.of_beats(never)) == {part: "fail"}


def test_a_silent_scheduler_is_a_warning_the_router_sweeps_too() -> None:
    fresh = dict.fromkeys((*OLDEST_BEAT, "scheduler"), seconds(150))

    assert not_fine(checkup.of_beats(fresh | {"scheduler": seconds(151)})) == {
        "worker": "fail",
        "router": "fail",
        "scheduler": "warn",
    }


def of_queues(
    backlog: dict[str, int], ages: dict[str, timedelta] | None
) -> list[tuple[str, str, str]]:
    checks = checkup.of_queues(backlog, providers=(ALPHA, BETA), ages=ages)
    return [(check.name, check.result.value, check.found) for check in checks]


def test_messages_for_a_provider_that_is_gone_are_counted() -> None:
    backlog = {"send.old": 10, "send.old.low": 2, "send.alpha": 1}

    assert of_queues(backlog, None) == [
        ("queue.send.alpha", "ok", "1 message"),
        ("queue.send.old", "warn", "12 messages, no provider of that name"),
    ]


def test_of_a_provider_that_is_gone_the_advice_names_the_verb() -> None:
    (check,) = checkup.of_queues({"send.old": 1}, providers=(), ages={})

    assert "postroom providers forget old" in check.do


def test_a_queue_that_no_worker_serves_is_named() -> None:
    backlog = {"send.alpha": 3, "send.alpha.high": 2, "send.beta": 4}
    ages = {"send.alpha": seconds(60), "send.beta": seconds(61)}

    assert of_queues(backlog, ages) == [
        ("queue.send.alpha", "warn", "2 messages, no worker serves send.alpha.high"),
        ("queue.send.beta", "warn", "4 messages, no worker serves send.beta"),
    ]


def test_a_queue_that_is_served_is_fine() -> None:
    assert of_queues({"send.alpha": 3}, {"send.alpha": seconds(9)}) == [
        ("queue.send.alpha", "ok", "3 messages")
    ]


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
