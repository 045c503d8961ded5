"""How an email begins."""

from datetime import datetime

import pytest

from postroom.domain.acceptance import accept, routing_of
from postroom.domain.email import Email, Routing, State, WaitingFor
from tests.builders import (
    ALPHA,
    ID,
    NOW,
    POLICY,
    a_content,
    a_full_content,
    a_new_email,
    a_recipient,
    at,
)


def accepted(**given: object) -> Email:
    return accept(a_new_email(**given), email_id=ID, now=NOW, policy=POLICY)


def test_a_new_email_is_queued_for_now_with_a_grace_for_its_hint() -> None:
    email = accepted()

    assert email.state is State.QUEUED
    assert (email.not_before, email.due_at) == (NOW, at(60))
    assert email.waiting_for is None
    assert (email.fence, email.round, email.attempts) == (0, 1, ())


@pytest.mark.parametrize("scheduled_at", [NOW, at(-3600)])
def test_a_schedule_that_has_passed_means_now(scheduled_at: datetime) -> None:
    email = accepted(scheduled_at=scheduled_at)

    assert email.state is State.QUEUED
    assert email.not_before == NOW
    assert email.scheduled_at == scheduled_at


@pytest.mark.parametrize(
    ("offset_s", "due_s"),
    [
        pytest.param(60, 120, id="soon-by-a-delayed-hint"),
        pytest.param(61, 61, id="later-by-the-sweep"),
    ],
)
def test_a_scheduled_email_waits_for_its_time(offset_s: int, due_s: int) -> None:
    email = accepted(scheduled_at=at(offset_s))

    assert email.state is State.SCHEDULED
    assert email.waiting_for is WaitingFor.SCHEDULE
    assert (email.not_before, email.due_at) == (at(offset_s), at(due_s))
    assert email.first_due_at == at(offset_s)


def test_what_the_client_asked_for_is_kept() -> None:
    new = a_new_email(provider=ALPHA, content=a_full_content())

    email = accept(new, email_id=ID, now=NOW, policy=POLICY)

    assert (email.provider, email.content, email.owner) == (
        ALPHA,
        new.content,
        new.owner,
    )


def test_the_routing_facts_are_counted_in_bytes() -> None:
    content = a_content(subject="é", text=None, html="€", headers={"X-A": "b"})

    assert routing_of(content, (a_recipient(),) * 3) == Routing(
        from_domain="acme.example", size_bytes=2 + 3 + 4, recipients=3
    )


def test_attachments_inline_ones_and_tags_are_counted() -> None:
    routing = routing_of(a_full_content(), ())

    assert (routing.attachments, routing.inline, routing.tags) == (2, 1, 2)
