"""`postroom providers`: what is seen, and orders that other processes obey."""

from contextlib import closing
from typing import Any

import pytest

from postroom.adapters.settings import Settings
from postroom.adapters.wiring import build
from postroom.domain.hint import RECONCILE_QUEUE, send_queue
from postroom.domain.routing import BreakerState, Health
from tests.builders import ALPHA, BETA, a_parked_email
from tests.cli.desk import Desk


def seen_by_another_process(desk: Desk) -> Health:
    with closing(build(Settings.from_env(desk.environ))) as parts:
        return parts.board.health(ALPHA)


def listed(desk: Desk) -> dict[str, dict[str, Any]]:
    return {p["name"]: p for p in desk.json("providers", "list")["data"]}


def test_all_are_listed_in_order_of_preference(desk: Desk) -> None:
    desk.holds(a_parked_email(BETA))

    assert list(listed(desk)) == [ALPHA, BETA]
    assert listed(desk)[BETA] == {
        "object": "provider",
        "name": BETA,
        "breaker": "closed",
        "drained": False,
        "retry_at": None,
        "resume_at": None,
        "calls": 0,
        "failures": 0,
        "rate_per_s": 0.0,
        "p50_ms": None,
        "p95_ms": None,
        "refuses_from": [],
        "queued": 0,
        "parked": 1,
    }
    lines = desk.done("providers", "list").splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        [ALPHA, "closed", "no"],
        [BETA, "closed", "no"],
    ]


def test_a_tripped_breaker_is_open_for_all(desk: Desk) -> None:
    told = desk.json("providers", "trip", ALPHA)

    assert (told["name"], told["breaker"]) == (ALPHA, "open")
    assert told["retry_at"]
    assert listed(desk)[ALPHA]["breaker"] == "open"
    assert seen_by_another_process(desk).state is BreakerState.OPEN


def test_a_drained_provider_gets_nothing_until_it_is_resumed(desk: Desk) -> None:
    assert desk.json("providers", "drain", ALPHA)["drained"]
    assert seen_by_another_process(desk).drained

    assert not desk.json("providers", "resume", ALPHA)["drained"]
    assert seen_by_another_process(desk) == Health()


@pytest.mark.parametrize("order", ["reset", "resume"])
def test_an_order_that_lets_email_go_asks_for_the_release(
    desk: Desk, order: str
) -> None:
    desk.done("providers", "trip", ALPHA)
    assert not desk.redis.exists(f"dramatiq:{RECONCILE_QUEUE}")

    desk.done("providers", order, ALPHA)

    assert desk.redis.hlen(f"dramatiq:{RECONCILE_QUEUE}.msgs") == 1
    (message,) = desk.redis.hvals(f"dramatiq:{RECONCILE_QUEUE}.msgs")
    assert b'"release"' in message


@pytest.mark.parametrize("order", ["trip", "reset", "drain", "resume"])
def test_an_unknown_provider_is_not_found(desk: Desk, order: str) -> None:
    result = desk.run("providers", order, "gamma")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "there is no provider 'gamma', only alpha, beta" in result.stderr
    assert not desk.redis.keys("*")


def test_the_messages_of_a_provider_that_is_gone_are_thrown_away(desk: Desk) -> None:
    for queue in ("send.old", "send.older", send_queue(ALPHA)):
        desk.redis.hset(f"dramatiq:{queue}.msgs", "id", "message")

    assert desk.json("providers", "forget", "old") == {
        "object": "forgotten",
        "name": "old",
        "messages": 1,
    }
    assert desk.done("providers", "forget", "older").split() == [
        "name",
        "messages",
        "older",
        "1",
    ]
    assert desk.redis.keys("dramatiq:send.*") == [b"dramatiq:send.alpha.msgs"]


def test_the_messages_of_a_configured_provider_are_not(desk: Desk) -> None:
    result = desk.run("providers", "forget", ALPHA)

    assert result.exit_code == 2
    assert "alpha is in POSTROOM_PROVIDERS" in result.output
