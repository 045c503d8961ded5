"""`postroom audit`: the accounts of the last hours, and a code for scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from postroom.adapters.mongo_books import MongoBooks
from postroom.adapters.mongo_ledger import MongoLedger
from postroom.domain.conservation import hour_of
from postroom.domain.email import Email, State
from postroom.domain.errors import SearchTimeoutError
from tests.builders import a_held_email
from tests.cli.desk import Desk, a_stored_email


@pytest.fixture
def accepted(desk: Desk) -> list[Email]:
    """Give the emails that this service accepted and has counted."""
    emails = [a_stored_email(State.SENT), a_stored_email(), a_stored_email(State.SENT)]
    emails.append(replace(a_held_email(), email_id=str(ObjectId())))
    ledger = MongoLedger(desk.database, writer="web-1")
    for email in emails:
        desk.holds(email)
        ledger.accepted(email.email_id)
    ledger.close()
    return emails


def test_a_whole_service_has_no_gap(desk: Desk, accepted: list[Email]) -> None:
    document = desk.json("audit")

    counts = {
        name: sum(hour[name] for hour in document["hours"])
        for name in ("accepted", "final", "open", "held", "missing", "astray")
    }
    assert counts == {
        "accepted": 4,
        "final": 2,
        "open": 1,
        "held": 1,
        "missing": 0,
        "astray": 0,
    }
    assert (document["object"], document["gap"], document["held"]) == ("audit", 0, 1)
    assert len(document["hours"]) == 24


def test_a_document_removed_behind_the_service_is_named_by_its_hour(
    desk: Desk, accepted: list[Email]
) -> None:
    lost = accepted[0].email_id
    desk.database["emails"].delete_one({"_id": ObjectId(lost)})

    told, result = desk.run("audit"), desk.run("audit", "--json")

    assert (told.exit_code, result.exit_code) == (1, 1)
    assert f"{hour_of(lost):%Y-%m-%dT%H:00:00Z}" in told.stderr
    document = json.loads(result.stdout)
    (hour,) = [hour for hour in document["hours"] if hour["missing"]]
    assert hour["hour"] == f"{hour_of(lost):%Y-%m-%dT%H:00:00.000Z}"
    assert document["gap"] == 1


def test_an_astray_email_is_named(desk: Desk, accepted: list[Email]) -> None:
    stray = accepted[1].email_id
    desk.database["emails"].update_one(
        {"_id": ObjectId(stray)}, {"$unset": {"due_at": ""}}
    )

    result = desk.run("audit")

    assert result.exit_code == 1
    assert f"{stray}  open_without_time" in result.stdout
    assert "astray" in result.stderr


def test_a_false_sent_is_named_though_nothing_is_missing(
    desk: Desk, accepted: list[Email]
) -> None:
    false = desk.holds(a_stored_email(State.SENT, attempts=()))

    result = desk.run("audit", "--json")

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["gap"] == 0
    assert document["contradictions"] == [
        {"id": false, "contradiction": "sent_without_acceptance"}
    ]


def test_a_stuck_email_is_told_by_its_age(desk: Desk) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    stuck = a_stored_email(not_before=now - timedelta(hours=2), due_at=now)
    desk.holds(stuck)

    document = desk.json("audit")

    assert 7190 <= document["oldest_open_due_s"] <= 7200 + 600


def test_a_terminal_gets_hours_with_email_only(
    desk: Desk, accepted: list[Email]
) -> None:
    lines = desk.done("audit").splitlines()

    assert lines[0].split()[:3] == ["hour", "accepted", "final"]
    assert lines[1].split()[0] == f"{hour_of(accepted[0].email_id):%Y-%m-%dT%HZ}"
    assert [line.split()[0] for line in lines[-5:]] == [
        "gap",
        "open",
        "held",
        "astray",
        "oldest_open_due_s",
    ]


def test_hours_out_of_range_are_a_wrong_command_line(desk: Desk) -> None:
    assert desk.run("audit", "--hours", "0").exit_code == 2
    assert desk.run("audit", "--hours", "100000").exit_code == 2


def test_what_takes_too_long_fails_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*_: object) -> None:
        raise SearchTimeoutError("too slow")

    monkeypatch.setattr(MongoBooks, "stored", slowly)

    result = desk.run("audit")

    assert result.exit_code == 1
    assert "in time" in result.stderr


def test_without_mongodb_a_store_is_away(desk: Desk) -> None:
    away = {"MONGODB_URI": "mongodb://127.0.0.1:1/postroom"}

    result = replace(desk, environ={**desk.environ, **away}).run("audit")

    assert result.exit_code == 3


def test_an_email_of_the_command_line_is_counted(desk: Desk) -> None:
    hello = ("--to", "a@example.com", "--subject", "Hi", "--text", "Hello")
    email_id = desk.done("send", *hello).strip()

    document = desk.json("audit")

    (hour,) = [hour for hour in document["hours"] if hour["accepted"]]
    assert hour["hour"] == f"{hour_of(email_id):%Y-%m-%dT%H:00:00.000Z}"
    assert (hour["accepted"], hour["uncounted"]) == (1, 0)
