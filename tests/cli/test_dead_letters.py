"""`postroom dead-letters list` and `replay`."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from postroom.cli import dead_letters
from postroom.cli.operating import Session
from postroom.domain.email import Delivery, State
from postroom.services.replay import Replayed
from tests.builders import TIMED_OUT, an_attempt
from tests.cli.desk import Desk, a_stored_email


def dead(desk: Desk, *, reason: str = "refused", ago_h: float = 0) -> str:
    dead_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=ago_h)
    return desk.holds(a_stored_email(State.FAILED, reason=reason, dead_at=dead_at))


def maybe_out(desk: Desk) -> str:
    """Hold a dead letter that nobody may send again unasked."""
    return desk.holds(
        a_stored_email(
            State.FAILED,
            reason="expired",
            delivery=Delivery.AT_MOST_ONCE,
            attempts=(an_attempt(TIMED_OUT),),
        )
    )


def test_the_latest_come_first_and_nothing_else_comes(desk: Desk) -> None:
    desk.holds(a_stored_email(State.SENT))
    older, later = dead(desk, ago_h=2), dead(desk, ago_h=1)

    listed = desk.json("dead-letters", "list")

    assert [email["id"] for email in listed["data"]] == [later, older]
    assert all(email["dead_at"] for email in listed["data"])
    lines = desk.done("dead-letters", "list").splitlines()
    assert [line.split()[0] for line in lines] == ["id", later, older]
    assert lines[0].split()[1] == "dead_at"


def test_they_are_chosen_by_reason_provider_and_time(desk: Desk) -> None:
    refused, expired = dead(desk, ago_h=5), dead(desk, reason="expired", ago_h=1)

    def ids(*words: str) -> list[str]:
        listed = desk.json("dead-letters", "list", *words)
        return [email["id"] for email in listed["data"]]

    assert ids("--reason", "refused") == [refused]
    assert ids("--reason", "550") == [expired, refused]
    assert ids("--since", "2h") == [expired]
    assert ids("--provider", "alpha") == [expired, refused]
    assert ids("--provider", "beta") == []
    assert ids("--limit", "1") == [expired]


def test_a_dry_run_only_counts(desk: Desk) -> None:
    email_id = dead(desk)

    assert desk.done("dead-letters", "replay", "--dry-run") == "found  1\n"
    assert desk.json("dead-letters", "replay", "--dry-run") == {
        "object": "replay",
        "dry_run": True,
        "found": 1,
        "has_more": False,
        "replayed": [],
        "refused": [],
    }
    assert desk.stored(email_id).state is State.FAILED


def test_a_replay_lets_the_oldest_go_first(desk: Desk) -> None:
    later, older = dead(desk, ago_h=1), dead(desk, ago_h=2)

    replayed = desk.json("dead-letters", "replay", "--limit", "1")

    assert replayed["replayed"] == [older]
    assert replayed["has_more"]
    assert desk.stored(older).state is State.QUEUED
    assert desk.stored(later).state is State.FAILED


def test_what_may_be_out_stays_and_is_named(desk: Desk) -> None:
    safe, unsafe = dead(desk, reason="expired"), maybe_out(desk)

    result = desk.run("dead-letters", "replay", "--reason", "expired")

    assert result.exit_code == 0
    assert result.stdout == "found     2\nreplayed  1\n"
    assert f"{unsafe} stays: it may be out already" in result.stderr
    assert desk.stored(safe).state is State.QUEUED
    assert desk.stored(unsafe).state is State.FAILED


def test_a_store_that_goes_away_in_between_is_told_with_what_was_done() -> None:
    replayed = Replayed(found=2, has_more=False, replayed=("65f0",), stopped="away")
    given = SimpleNamespace(replay=lambda *_, **__: replayed, clock=None)
    session = Session(environ={}, open=lambda: given)  # type: ignore[arg-type, return-value]

    result = CliRunner().invoke(dead_letters.app, ["replay", "--json"], obj=session)

    assert result.exit_code == 3
    assert json.loads(result.stdout)["replayed"] == ["65f0"]
    assert result.stderr == "postroom: MongoDB: away\n"


@pytest.mark.parametrize(
    "words",
    [("--limit", "0"), ("--limit", "1001"), ("--since", "soon")],
    ids=" ".join,
)
def test_what_cannot_be_read_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    email_id = dead(desk)

    assert desk.run("dead-letters", "replay", *words).exit_code == 2
    assert desk.stored(email_id).state is State.FAILED
