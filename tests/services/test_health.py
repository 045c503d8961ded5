"""What an outcome says about its provider's health."""

from datetime import timedelta

import pytest

from postroom.domain.outcome import RecipientRefusal, RefusalKind, Refused
from postroom.domain.ports import Permit, Report
from postroom.domain.routing import BreakerState
from postroom.services.health import Verdicts
from tests.builders import (
    ALPHA,
    OUTCOMES,
    a_recipient,
    a_refusal,
    an_email,
    at,
    seconds,
)
from tests.simulation import Simulation


@pytest.fixture
def verdicts(world: Simulation) -> Verdicts:
    return world.attempt.verdicts


@pytest.mark.parametrize(
    ("name", "success", "trips"),
    [
        ("accepted", True, False),
        ("permanent", None, False),
        ("transient", False, False),
        ("unsure", False, False),
        ("throttled", None, False),
        ("account", False, True),
        ("sender", None, False),
        ("not_sent", False, False),
        ("too_late", None, False),
        ("unknown", False, False),
    ],
)
def test_each_outcome_is_a_success_a_failure_or_neither(
    verdicts: Verdicts, name: str, success: bool | None, trips: bool
) -> None:
    report = verdicts.of(ALPHA, an_email(), OUTCOMES[name], seconds(3))

    assert report == Report(success=success, trip=trips, latency=seconds(3))


@pytest.mark.parametrize(
    ("refused", "success"),
    [
        pytest.param((0, 1), None, id="each-for-its-own-sake"),
        pytest.param((0,), False, id="the-other-for-another-reason"),
    ],
)
def test_refusals_of_single_recipients_say_nothing_of_the_provider(
    verdicts: Verdicts, refused: tuple[int, ...], success: bool | None
) -> None:
    kind = RefusalKind.TRANSIENT
    outcome = Refused(
        kind=kind,
        certain=True,
        code="451",
        refused=tuple(
            RecipientRefusal(index=n, kind=kind, code="451 4.7.1") for n in refused
        ),
    )
    email = an_email(recipients=(a_recipient(), a_recipient()))

    assert verdicts.of(ALPHA, email, outcome, seconds(1)).success is success


@pytest.mark.parametrize(
    ("asked", "resumes_s"),
    [
        pytest.param(None, 2, id="nothing-said"),
        pytest.param(seconds(30), 30, id="retry-after"),
        pytest.param(seconds(-9), 2, id="negative"),
        pytest.param(timedelta(days=9), 3600, id="capped"),
    ],
)
def test_a_limit_pauses_the_provider_for_all(
    world: Simulation, verdicts: Verdicts, asked: timedelta | None, resumes_s: int
) -> None:
    limit = a_refusal(code="429", throttled=True, retry_after=asked)

    verdicts.of(ALPHA, an_email(), limit, seconds(1))

    assert world.board.health(ALPHA).resume_at == at(resumes_s)


def test_a_refused_sender_is_remembered_for_its_domain(
    world: Simulation, verdicts: Verdicts
) -> None:
    verdicts.of(ALPHA, an_email(), OUTCOMES["sender"], seconds(1))

    assert set(world.board.health(ALPHA).refuses_from) == {"acme.example"}


def a_probe(world: Simulation) -> Permit:
    world.board.trip(ALPHA)
    world.clock.advance(seconds(60))
    permit = world.board.permit(ALPHA, probe=True)
    assert isinstance(permit, Permit)
    return permit


@pytest.mark.parametrize(
    ("success", "released"), [(True, 1), (False, 0), (None, 0)], ids=str
)
def test_only_a_good_probe_releases_what_is_parked(
    world: Simulation, verdicts: Verdicts, success: bool | None, released: int
) -> None:
    verdicts.tell(a_probe(world), Report(success=success))

    assert len(world.hints.hinted) == released


def test_a_good_call_of_a_healthy_provider_releases_nothing(
    world: Simulation, verdicts: Verdicts
) -> None:
    permit = world.board.permit(ALPHA, probe=False)
    assert isinstance(permit, Permit)

    verdicts.tell(permit, Report(success=True))

    assert world.hints.hinted == []


def test_a_release_that_redis_does_not_take_is_left_to_the_sweep(
    world: Simulation, verdicts: Verdicts
) -> None:
    permit = a_probe(world)
    world.hints.away = True

    verdicts.tell(permit, Report(success=True))

    assert world.board.health(ALPHA).state is BreakerState.CLOSED
