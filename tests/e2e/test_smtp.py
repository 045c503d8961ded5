"""A relay that answers for each recipient, on the real processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.service import Service
from tests.fake_smtp import At, FakeSmtp, Mode, Rule

ADA, BOB, CIA = "ada@example.com", "bob@example.com", "cia@example.com"


@pytest.fixture(scope="module")
def relay() -> Iterator[FakeSmtp]:
    with FakeSmtp() as running:
        yield running


@pytest.fixture(scope="module")
def over_smtp(
    tmp_path_factory: pytest.TempPathFactory, relay: FakeSmtp
) -> Iterator[Service]:
    """Give a service that has the relay and nobody else."""
    folder = tmp_path_factory.mktemp("smtp")
    settings = {"POSTROOM_PROVIDERS": "smtp", "SMTP_URL": relay.url}
    with Service(folder, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(relay: FakeSmtp) -> None:
    relay.reset()


def states(email: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {
        one["address"]: (one["state"], one.get("code")) for one in email["recipients"]
    }


def test_one_bad_recipient_is_recorded_and_the_others_get_the_email_once(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(Rule(recipient=BOB, reply="550 5.1.1 no such user"))

    email_id = over_smtp.accept(to=[ADA, BOB], cc=[CIA])

    over_smtp.wait_for_state(email_id, "sent")
    email = over_smtp.email(email_id)
    assert [taken.recipients for taken in relay.taken] == [(ADA, CIA)]
    assert states(email) == {
        ADA: ("accepted", None),
        BOB: ("refused", "550 5.1.1"),
        CIA: ("accepted", None),
    }
    (attempt,) = email["attempts"]
    assert attempt["provider_message_id"] == f"{email_id}@example.org"


def test_a_greylisted_recipient_is_retried_alone_and_looks_the_same(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(Rule(recipient=CIA, reply="451 4.7.1 greylisted", times=2))

    email_id = over_smtp.accept(to=[ADA, BOB], bcc=[CIA])

    over_smtp.wait_for_state(email_id, "sent")
    assert [taken.recipients for taken in relay.taken] == [(ADA, BOB), (CIA,)]
    assert relay.taken[0].data == relay.taken[1].data
    assert [named for _, named in relay.envelopes] == [(ADA, BOB, CIA), (CIA,), (CIA,)]
    email = over_smtp.email(email_id)
    assert set(states(email).values()) == {("accepted", None)}
    assert email["possible_duplicate"] is False


def test_all_refused_for_good_is_a_dead_letter_at_once(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(Rule(reply="550 5.1.1 no such user"))

    email_id = over_smtp.accept(to=[ADA, BOB])

    over_smtp.wait_for_state(email_id, "failed")
    email = over_smtp.email(email_id)
    assert email["reason"] == "refused"
    assert set(states(email).values()) == {("refused", "550 5.1.1")}
    assert len(email["attempts"]) == 1


def test_no_answer_to_the_final_dot_is_a_possible_duplicate_with_the_same_name(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(Rule(at=At.END, mode=Mode.DROP, times=1, accepts=True))

    email_id = over_smtp.accept(to=[ADA])

    over_smtp.wait_for_state(email_id, "sent")
    email = over_smtp.email(email_id)
    assert email["possible_duplicate"] is True
    assert [attempt["outcome"] for attempt in email["attempts"]] == [
        "unknown",
        "accepted",
    ]
    assert {taken.message["Message-ID"] for taken in relay.taken} == {
        f"<{email_id}@example.org>"
    }


def test_no_answer_to_the_final_dot_holds_what_may_go_once_only(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(
        Rule(recipient=BOB, reply="550 5.1.1 no such user"),
        Rule(at=At.END, mode=Mode.DROP, times=1, accepts=True),
    )

    email_id = over_smtp.accept(to=[ADA, BOB], delivery="at_most_once")

    over_smtp.wait_for_state(email_id, "unknown")
    assert over_smtp.email(email_id)["waiting_for"] == "operator"
    assert states(over_smtp.email(email_id))[BOB] == ("refused", "550 5.1.1")
    assert len(relay.taken) == 1


def test_a_relay_that_is_away_delays_email_and_loses_none(
    over_smtp: Service, relay: FakeSmtp
) -> None:
    relay.script(Rule(at=At.EHLO, mode=Mode.DROP, times=3))
    relay.close_idle()

    ids = [over_smtp.accept(to=[ADA]) for _ in range(5)]

    over_smtp.wait_for_state(ids, "sent")
    assert len(relay.taken) == 5
