"""`postroom doctor`: one line for each thing, and a code for scripts."""

import json
from dataclasses import replace
from typing import Any

import pytest

from postroom.adapters.heartbeats import RedisHeartbeats
from postroom.domain.email import State
from tests.builders import a_held_email
from tests.cli.desk import Desk, a_stored_email


@pytest.fixture
def whole(desk: Desk) -> Desk:
    """Give a service of which every process was seen just now."""
    beats = RedisHeartbeats(desk.redis)
    beats.beat("worker", "router", "sweep", "scheduler")
    sound = {
        "POSTROOM_API_KEY": "k" * 40,
        "POSTROOM_PROVIDERS": "mailgun",
        "MAILGUN_API_KEY": "key",
        "MAILGUN_DOMAIN": "mg.acme.example",
    }
    return replace(desk, environ={**desk.environ, **sound})


def checks(document: Any) -> dict[str, str]:
    return {check["name"]: check["result"] for check in document["checks"]}


def test_with_all_in_order_every_check_is_fine(whole: Desk) -> None:
    document = whole.json("doctor")

    assert (document["object"], document["result"]) == ("doctor", "ok")
    assert set(checks(document).values()) == {"ok"}
    assert {"settings", "mongodb", "redis", "worker", "router", "sweep"} < set(
        checks(document)
    )


def test_a_terminal_gets_a_table(whole: Desk) -> None:
    lines = whole.done("doctor").splitlines()

    assert lines[0].split() == ["check", "result", "found", "do"]
    assert lines[1].split()[:2] == ["settings", "ok"]


def test_warnings_end_well(whole: Desk) -> None:
    whole.holds(a_held_email())
    whole.holds(a_stored_email(State.FAILED, dead_at=whole_now(whole)))

    document = whole.json("doctor")

    assert document["result"] == "warn"
    found = checks(document)
    assert (found["held"], found["dead_letters"]) == ("warn", "warn")


def whole_now(desk: Desk) -> Any:
    return desk.database.client.admin.command("hello")["localTime"]


def test_no_usable_provider_fails_it(whole: Desk) -> None:
    whole.done("providers", "drain", "mailgun")

    result = whole.run("doctor", "--json")

    assert result.exit_code == 1
    found = checks(json.loads(result.stdout))
    assert (found["provider.mailgun"], found["providers"]) == ("warn", "fail")


def test_what_init_has_not_created_is_mended_by_it(whole: Desk) -> None:
    whole.database["emails"].drop_indexes()

    result = whole.run("doctor", "--json")

    assert result.exit_code == 1
    assert checks(json.loads(result.stdout))["mongodb.indexes"] == "fail"
    assert whole.done("init") == ""
    assert checks(whole.json("doctor"))["mongodb.indexes"] == "ok"


def test_a_silent_process_fails_it(desk: Desk) -> None:
    result = desk.run("doctor", "--json")

    assert result.exit_code == 1
    found = checks(json.loads(result.stdout))
    assert found["worker"] == found["router"] == found["sweep"] == "fail"


def test_a_redis_that_evicts_is_what_no_process_starts_on(whole: Desk) -> None:
    whole.redis.config_set("maxmemory-policy", "volatile-ttl")
    try:
        doctor, init = whole.run("doctor", "--json"), whole.run("init")
    finally:
        whole.redis.config_set("maxmemory-policy", "noeviction")

    document = json.loads(doctor.stdout)
    assert (doctor.exit_code, document["result"]) == (1, "refuse")
    assert checks(document)["redis.eviction"] == "refuse"
    assert init.exit_code == 1
    assert "refuses to start: redis.eviction: maxmemory-policy is vola" in init.output


def test_wrong_settings_are_all_told(desk: Desk) -> None:
    wrong = {"POSTROOM_ENV": "moon", "POSTROOM_LEASE_S": "-1"}
    result = replace(desk, environ={**desk.environ, **wrong}).run("doctor", "--json")

    assert result.exit_code == 1
    (first, second) = json.loads(result.stdout)["checks"]
    assert "POSTROOM_ENV" in first["found"]
    assert "POSTROOM_LEASE_S" in second["found"]
    assert first["result"] == second["result"] == "refuse"
