"""Providers over HTTP, and where an email would go."""

from dataclasses import replace
from typing import Any

import falcon.testing
import pytest

from postroom.domain.errors import BreakersAwayError
from postroom.services.providers import Providers
from tests.builders import a_parked_email
from tests.web.stand import SANDBOX, Stand, a_body, faults

ALPHA, BETA = (replace(SANDBOX, name=name) for name in ("alpha", "beta"))


@pytest.fixture
def two() -> Stand:
    return Stand(profiles=(ALPHA, BETA))


def order(stand: Stand, name: str, verb: str, **given: Any) -> falcon.testing.Result:
    return stand.client.simulate_post(f"/api/providers/{name}/{verb}", **given)


def test_each_is_shown_in_order_of_preference_with_how_it_does(two: Stand) -> None:
    two.store.insert(a_parked_email("beta"))
    two.queues.messages = {"send.alpha": 2, "send.alpha.low": 3, "router": 9}

    answer = two.get("/api/providers")

    assert answer.status_code == 200
    assert (answer.json["object"], answer.json["has_more"]) == ("list", False)
    alpha, beta = answer.json["data"]
    assert alpha == {
        "object": "provider",
        "name": "alpha",
        "breaker": "closed",
        "retry_at": None,
        "resume_at": None,
        "drained": False,
        "window": {
            "calls": 0,
            "failures": 0,
            "failure_rate": None,
            "p50_ms": None,
            "p95_ms": None,
        },
        "rate_per_s": 0.0,
        "refuses_from": [],
        "queued": 5,
        "parked": 0,
    }
    assert (beta["queued"], beta["parked"]) == (0, 1)


def test_what_redis_does_not_tell_is_null(two: Stand) -> None:
    two.queues.messages = None

    assert [one["queued"] for one in two.get("/api/providers").json["data"]] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("verb", "shown"),
    [
        ("trip", {"breaker": "open", "drained": False}),
        ("reset", {"breaker": "closed", "drained": False}),
        ("drain", {"breaker": "closed", "drained": True}),
        ("resume", {"breaker": "closed", "drained": False}),
    ],
)
def test_an_order_is_answered_with_what_it_led_to(
    two: Stand, verb: str, shown: dict[str, Any]
) -> None:
    answer = order(two, "alpha", verb)

    assert answer.status_code == 200
    assert answer.json.items() >= ({"name": "alpha"} | shown).items()
    assert two.get("/api/providers").json["data"][1]["breaker"] == "closed"


def test_there_is_no_order_to_a_provider_that_is_not_there(two: Stand) -> None:
    answer = order(two, "gamma", "trip")

    assert (answer.status_code, answer.json["name"]) == (404, "not_found")
    assert "only alpha, beta" in answer.json["message"]


def test_there_is_no_such_order(two: Stand) -> None:
    assert order(two, "alpha", "explode").status_code == 404


def test_an_order_has_no_parameters(two: Stand) -> None:
    answer = order(two, "alpha", "trip", json={"for": "1h"})

    assert faults(answer) == {("for", "unknown_field")}
    nothing = order(two, "alpha", "drain", json={"for": None})
    assert faults(nothing) == {("for", "unknown_field")}
    assert faults(two.get("/api/providers", params={"limit": 1})) == {
        ("limit", "unknown_field")
    }


def test_without_redis_it_is_503(two: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise BreakersAwayError("Redis is away: the breakers cannot be read")

    monkeypatch.setattr(Providers, "__call__", away)

    answer = two.get("/api/providers")

    assert (answer.status_code, answer.json["name"]) == (503, "breakers_away")


def explain(stand: Stand, **fields: Any) -> falcon.testing.Result:
    return stand.client.simulate_post("/api/routing/explain", json=a_body(**fields))


def test_where_an_email_would_go_is_explained_and_nothing_stored(two: Stand) -> None:
    order(two, "alpha", "drain")

    answer = explain(two)

    assert answer.status_code == 200
    assert answer.json == {
        "object": "routing",
        "carriable": True,
        "provider": "beta",
        "probes": [],
        "wait_until": None,
        "waiting_for": [],
        "verdicts": [
            {"provider": "alpha", "why": "drained", "until": None},
            {"provider": "beta", "why": "chosen", "until": None},
        ],
    }
    assert two.store.all() == []  # type: ignore[attr-defined]


def test_what_would_wait_says_for_whom_and_how_long(two: Stand) -> None:
    for name in ("alpha", "beta"):
        order(two, name, "drain")

    routing = explain(two).json

    assert (routing["provider"], routing["carriable"]) == (None, True)
    assert routing["waiting_for"] == ["alpha", "beta"]
    assert routing["wait_until"]


def test_what_nobody_can_carry_is_explained_too() -> None:
    stand = Stand(profiles=(replace(ALPHA, max_size_bytes=1), BETA))

    routing = explain(stand, provider="alpha").json

    assert (routing["provider"], routing["carriable"]) == (None, False)
    assert {v["provider"]: v["why"] for v in routing["verdicts"]} == {
        "alpha": "too_large",
        "beta": "pinned_elsewhere",
    }


@pytest.mark.parametrize(
    "fields", [{"to": "ada"}, {"subject": ...}, {"x": 1}, {"provider": "gamma"}]
)
def test_it_is_checked_as_a_post_is(two: Stand, fields: dict[str, Any]) -> None:
    explained, posted = explain(two, **fields), two.post(a_body(**fields))

    assert explained.status_code == posted.status_code == 400
    assert explained.json["errors"] == posted.json["errors"]
