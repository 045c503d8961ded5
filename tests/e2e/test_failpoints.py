"""A process is killed before and after every call that leaves it: nothing is lost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from postroom.adapters.failpoint_table import POINTS
from tests.e2e.forked import ForkedService
from tests.e2e.provocations import (
    CALM,
    KEYED,
    KILLED,
    PARKED,
    PROBING,
    RELAY,
    SLOW,
    SPARE,
)
from tests.e2e.scale import IS_FULL
from tests.e2e.walk import AT_MOST_ONCE, Row, Step, Walk, in_lanes, walking
from tests.e2e.ways import WAYS, Way
from tests.fake_provider import Rule
from tests.fake_smtp import FakeSmtp

#: Played by the fake, all over HTTP.
ACCOUNTS = (*KILLED.values(), CALM, SLOW, *PARKED.values(), PROBING)

#: How many workers each provider has: while one starts again the others go on.
WORKERS = {
    **dict.fromkeys((*KILLED.values(), CALM, SLOW, PROBING, KEYED), 2),
    RELAY: 1,
    **dict.fromkeys(PARKED.values(), 1),
}

#: After the last kill: a lease, the wait for word of it, a delayed retry, and sweeps.
DRAIN_S = 40.0


def way_of(point: str) -> Way:
    return WAYS[point.rpartition(".")[0]]


def planned() -> Iterator[tuple[str, str]]:
    """Yield each point, and with which delivery its email is accepted."""
    for point in POINTS:
        way = way_of(point)
        both = IS_FULL or way.in_both
        for delivery in way.deliveries if both else way.deliveries[:1]:
            yield point, delivery


STEPS = [
    Step(point=point, delivery=delivery, number=number)
    for number, (point, delivery) in enumerate(planned())
]


class WithAccounts(ForkedService):
    """The service with several accounts at the fake."""

    @property
    def environ(self) -> dict[str, str]:
        urls = {
            f"POSTROOM_{name.upper()}_API_URL": f"{self.fake.url}/{name}"
            for name in ACCOUNTS
        }
        return super().environ | urls


@pytest.fixture(scope="module")
def relay() -> Iterator[FakeSmtp]:
    with FakeSmtp() as running:
        yield running


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, relay: FakeSmtp) -> Iterator[Walk]:
    """Walk all steps on one service."""
    settings = {
        "POSTROOM_PROVIDERS": ",".join(
            (
                *(f"{name}=sendgrid" for name in ACCOUNTS),
                f"{KEYED}=sandbox",
                f"{RELAY}=smtp",
                f"{SPARE}=sandbox",
            )
        ),
        **{f"POSTROOM_{name.upper()}_API_KEY": "SG.test" for name in ACCOUNTS},
        "POSTROOM_KEYED_KEYS": "true",
        "POSTROOM_RELAY_URL": relay.url,
        # No breaker is to open but by an operator's order, and nothing is to be held
        # because many processes were killed.
        "POSTROOM_BREAKER_FAIL_MAX": "1000",
        "POSTROOM_BREAKER_RESET_S": "3",
        "POSTROOM_MAX_UNKNOWN": "10",
        "WEB_CONCURRENCY": "2",
        # One of the steps makes a key: from then on the API asks for one.
        "POSTROOM_API_KEY": "k" * 40,
    }
    began = time.monotonic()
    folder = tmp_path_factory.mktemp("failpoints")
    with WithAccounts(folder, workers=WORKERS, **settings) as service:
        started = time.monotonic()
        with walking(service) as walk:
            lanes = walk_all(walk)
            ended = time.monotonic()
            walk.left = walk.drain(DRAIN_S)
            walk.fill(relay)
            drained_s = time.monotonic() - ended
        print(
            f"\n{len(STEPS)} steps, {service.deaths} processes started again, "
            f"{len(walk.missed)} steps tried again; up in {started - began:.0f} s, "
            f"walked in {ended - started:.0f} s, all over {drained_s:.1f} s after it\n"
            f"lanes: {', '.join(f'{lane} {s:.0f} s' for lane, s in lanes.items())}"
        )
        show(walk)
        yield walk


def walk_all(walk: Walk) -> dict[str, float]:
    rules: list[Rule] = []
    lanes: dict[str, list[Step]] = defaultdict(list)
    for step in STEPS:
        way = way_of(step.point)
        lanes[f"{way.lane}.{step.when}" if way.apart else way.lane].append(step)
        rules += [rule for one in step.attempts() for rule in way.rules(one)]
    walk.service.fake.script(*rules)
    return in_lanes(walk, lanes, lambda step: way_of(step.point).go)


def show(walk: Walk) -> None:
    for row in walk.missed:
        print(f"tried again: {row.step.name}, {row.fault}, {row.outcomes} {row.state}")
    print(f"{'point':<46} {'delivery':<14} sends  recovered  attempts")
    for row in walk.rows.values():
        took = "-" if row.recovered_s is None else f"{row.recovered_s:.1f} s"
        end = "held" if row.is_held else row.state or "not stored"
        print(
            f"{row.step.point:<46} {row.step.delivery:<14} {row.sends:>5}  {took:>9}  "
            f"{', '.join(row.outcomes) or 'none'} -> {end}"
        )


def check(row: Row, *, ends: set[str]) -> None:
    """Nothing is lost; nothing goes twice that is not in doubt, or must not."""
    careful = row.step.delivery == AT_MOST_ONCE
    in_doubt = row.outcomes.count("unknown")

    if row.accepted:
        assert row.state is not None, "accepted, and not there"
    if row.state is not None:
        assert row.state in ends or (careful and row.is_held)
    assert row.sends <= (1 if careful else 1 + in_doubt)
    if "accepted" in row.outcomes:
        assert row.sends >= 1


def test_there_is_a_way_to_every_point_and_no_other() -> None:
    assert set(WAYS) == {point.rpartition(".")[0] for point in POINTS}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_kill_there_loses_nothing_and_sends_twice_only_what_is_in_doubt(
    walked: Walk, step: Step
) -> None:
    row = walked.rows[step.name]

    assert row.fault is None
    assert row.fired_at is not None, "no process came to this point"
    check(row, ends={way_of(step.point).ends})


def test_nothing_else_was_lost_either(walked: Walk) -> None:
    assert walked.left == []
    for row in walked.missed:
        # One that no command came to is as it was before.
        check(row, ends={"sent", "failed", "cancelled", "scheduled"})
