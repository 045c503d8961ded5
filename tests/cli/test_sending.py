"""`postroom send`: the API's own checks, an id, and the way until the end."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import sending
from postroom.domain import lifecycle
from postroom.domain.change import Change
from postroom.domain.email import Delivery, Email, State, WaitingFor
from postroom.domain.settling import record
from tests.builders import (
    ACCEPTED,
    ALPHA,
    POLICY,
    REFUSED_FOR_GOOD,
    TIMED_OUT,
    a_result,
    an_attempt,
    an_email,
)
from tests.cli.desk import Desk

HELLO = ("--to", "ada@example.com", "--subject", "Hello", "--text", "It works.")


def test_it_is_stored_and_its_id_alone_is_printed(desk: Desk) -> None:
    told = desk.done("send", *HELLO)

    email = desk.stored(told.strip())
    assert email.state is State.QUEUED
    assert email.content is not None
    assert email.content.sender.addr_spec == "post@acme.example"
    assert email.content.subject == "Hello"


def test_every_option_reaches_the_email(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "bill.pdf"
    file.write_bytes(b"\x00\xff")
    words = (
        *("send", "--from", "Me <me@acme.example>", "--to", "a@example.com"),
        *("--to", "Bob <b@example.com>", "--cc", "c@example.com"),
        *("--bcc", "d@example.com", "--subject", "s", "--html", "<p>h</p>"),
        *("--attach", str(file), "--tag", "kind=bill", "--delivery", "at_most_once"),
        *("--provider", ALPHA, "--at", "in 2 hours"),
    )

    shown = desk.json(*words)

    assert shown["from"] == "Me <me@acme.example>"
    assert shown["to"] == ["a@example.com", "Bob <b@example.com>"]
    assert (shown["cc"], shown["bcc"]) == (["c@example.com"], ["d@example.com"])
    assert (shown["html"], shown["text"]) == ("<p>h</p>", None)
    assert shown["attachments"][0]["filename"] == "bill.pdf"
    assert shown["tags"] == [{"name": "kind", "value": "bill"}]
    assert shown["provider"] == ALPHA
    email = desk.stored(shown["id"])
    assert email.state is State.SCHEDULED
    assert email.delivery is Delivery.AT_MOST_ONCE
    assert email.content is not None
    assert email.content.attachments[0].content == b"\x00\xff"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*HELLO[2:], "--to", "nobody"), "to[0]: must be local@domain"),
        ((*HELLO, "--provider", "gamma"), "must be one of the configured providers"),
        ((*HELLO, "--at", "soon"), "scheduled_at: must be ISO 8601"),
        ((*HELLO, "--tag", "k=a b"), "tags[0].value: must be"),
        (HELLO[:4], "text: is required"),
        ((*HELLO, "--attach", "/no/such/file"), "does not exist"),
        ((*HELLO, "--delivery", "maybe"), "at_least_once"),
        (HELLO[2:], "--to"),
    ],
    ids=["to", "provider", "at", "tag", "text", "attach", "delivery", "no-to"],
)
def test_what_the_api_would_refuse_is_refused(
    desk: Desk, words: tuple[str, ...], told: str
) -> None:
    result = desk.run("send", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert desk.database["emails"].count_documents({}) == 0


def test_all_faults_are_told_at_once(desk: Desk) -> None:
    result = desk.run("send", "--to", "x", "--subject", " ", "--text", "t")

    assert "to[0]: " in result.stderr
    assert "subject: " in result.stderr


def test_what_no_provider_carries_is_refused(desk: Desk, tmp_path: Path) -> None:
    environ = {**desk.environ, "POSTROOM_PROVIDERS": "mailgun"}
    environ |= {"MAILGUN_API_KEY": "key", "MAILGUN_DOMAIN": "mg.acme.example"}
    narrow = Desk(database=desk.database, redis=desk.redis, environ=environ)
    words = [word for n in range(11) for word in ("--tag", f"t{n}=v")]

    result = narrow.run("send", *HELLO, *words)

    assert result.exit_code in {1, 2}
    assert result.stdout == ""


def settled_by(
    desk: Desk, *steps: Callable[[Email], Change | None]
) -> threading.Thread:
    """Play the worker, as soon as there is an email."""

    def work() -> None:
        while (found := desk.database["emails"].find_one()) is None:
            pass
        for step in steps:
            change = step(desk.stored(str(found["_id"])))
            assert change is not None
            assert desk.store.apply(change)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def claimed(email: Email) -> Change:
    return lifecycle.claim(
        email, provider=ALPHA, attempt_id="a1", now=email.created_at, policy=POLICY
    )


def came_to(outcome: Any) -> Callable[[Email], Change | None]:
    def step(email: Email) -> Change | None:
        result = a_result(outcome, attempt_id="a1")
        return record(email, result, now=email.created_at, policy=POLICY)

    return step


def held(email: Email) -> Change:
    return lifecycle.unknown(email, now=email.created_at, until=None)


@pytest.mark.parametrize(
    ("steps", "state", "code", "told"),
    [
        ([claimed, came_to(ACCEPTED)], "sent", 0, "attempt 1 at alpha: accepted"),
        ([claimed, came_to(REFUSED_FOR_GOOD)], "failed", 1, "it is failed: refused"),
        ([claimed, came_to(TIMED_OUT), held], "unknown", 1, "waits for operator"),
    ],
    ids=["sent", "failed", "held"],
)
def test_its_way_is_shown_until_it_is_settled(
    desk: Desk,
    steps: list[Callable[[Email], Change | None]],
    state: str,
    code: int,
    told: str,
) -> None:
    worker = settled_by(desk, *steps)

    result = desk.run("send", *HELLO, "--wait", "--timeout", "60")

    worker.join()
    assert result.exit_code == code, result.output
    assert desk.stored(result.stdout.strip()).state.value == state
    assert told in result.stderr


def test_a_wait_ends_with_the_document_of_the_end(desk: Desk) -> None:
    worker = settled_by(desk, claimed, came_to(ACCEPTED))

    shown = desk.json("send", *HELLO, "--wait", "--timeout", "60")

    worker.join()
    assert shown["state"] == "sent"


def test_a_wait_does_not_last_for_ever(desk: Desk) -> None:
    result = desk.run("send", *HELLO, "--wait", "--timeout", "1")

    assert result.exit_code == 1
    assert "it is queued: not settled in time" in result.stderr
    assert desk.stored(result.stdout.strip()).state is State.QUEUED


class TestSteps:
    def test_an_attempt_in_hand_has_come_to_nothing_yet(self) -> None:
        told = list(sending.steps(an_email(State.SENDING)))

        assert told == ["attempt 1 at alpha", "sending"]

    def test_what_it_waits_for_and_until_when(self) -> None:
        email = an_email(
            waiting_for=WaitingFor.BACKOFF,
            attempts=(an_attempt(REFUSED_FOR_GOOD, detail="\x1bno"),),
        )

        assert list(sending.steps(email))[1:] == [
            "attempt 1 at alpha: refused permanent 550 \\u001bno",
            "queued, waits for backoff, until 2026-11-24T11:59:59Z",
        ]
