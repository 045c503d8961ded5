"""The main job on real processes: accepted over HTTP, kept, and at a provider once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Mode, Rule

BAD_ADDRESS = json.dumps(
    {
        "errors": [
            {
                "message": "Does not contain a valid address.",
                "field": "personalizations.0.to.0.email",
                "help": None,
            },
        ],
    },
)


def failing(provider: str, status: int, body: str = "", **rule: object) -> Rule:
    return Rule(
        provider=provider,
        mode=Mode.STATUS,
        status=status,
        body=body,
        **rule,  # type: ignore[arg-type]
    )


def taken_by(fake: AsProcess, email_id: str) -> list[str]:
    return [t["provider"] for t in fake.taken if t["email_id"] == email_id]


def test_the_older_services_body_reaches_sendgrid_as_its_own_json(
    service: Service, fake: AsProcess
) -> None:
    answer = service.request(
        "POST",
        "/api/emails",
        {"title": "Hi", "content": "Hello", "to": ["a@example.com"]},
    )

    assert answer.status == 201
    email_id = answer.body["id"]
    assert answer.body["data"] == {"id": email_id}
    assert answer.headers["location"].endswith(email_id)
    service.wait_for_state(email_id, "sent")
    (call,) = fake.calls
    sent = call["request"]
    assert sent["subject"] == "Hi"
    assert sent["from"]["email"] == "post@example.org"
    assert sent["content"] == [{"type": "text/plain", "value": "Hello"}]
    assert sent["personalizations"][0]["to"] == [{"email": "a@example.com"}]
    assert taken_by(fake, email_id) == ["sendgrid"]


def test_a_500_at_sendgrid_goes_to_mailgun_once_and_the_attempts_tell_the_story(
    service: Service, fake: AsProcess
) -> None:
    fake.script(failing("sendgrid", 500, times=1))

    email_id = service.accept()

    service.wait_for_state(email_id, "sent")
    email = service.email(email_id)
    story = [(a["provider"], a["outcome"], a["kind"]) for a in email["attempts"]]
    assert story == [
        ("sendgrid", "refused", "transient"),
        ("mailgun", "accepted", None),
    ]
    assert taken_by(fake, email_id) == ["mailgun"]


def test_a_permanent_refusal_is_a_dead_letter_at_once_in_the_providers_words(
    service: Service, fake: AsProcess
) -> None:
    fake.script(failing("sendgrid", 400, BAD_ADDRESS))

    email_id = service.accept()

    service.wait_for_state(email_id, "failed")
    email = service.email(email_id)
    (attempt,) = email["attempts"]
    assert email["reason"] == "refused"
    assert attempt["kind"] == "permanent"
    assert "valid address" in attempt["detail"]
    assert fake.taken == []
    assert {call["provider"] for call in fake.calls} == {"sendgrid"}


def test_a_401_opens_the_breaker_at_once(service: Service, fake: AsProcess) -> None:
    fake.script(failing("sendgrid", 401))
    first = service.accept()
    service.wait_for_state(first, "sent")

    others = [service.accept() for _ in range(5)]

    service.wait_for_state(others, "sent")
    refused = [c for c in fake.calls if c["provider"] == "sendgrid"]
    probes = len(refused) - 1
    assert probes <= 3, "only a probe now and then may knock at an open breaker"
    assert {t["provider"] for t in fake.taken} == {"mailgun"}


def test_one_email_waits_out_a_time_when_no_provider_answers(
    service: Service, fake: AsProcess
) -> None:
    fake.script(failing("*", 503))
    email_id = service.accept()
    service.wait_until(
        lambda: len(service.email(email_id)["attempts"]) >= 4, "four attempts"
    )
    waiting = service.email(email_id)

    fake.script()

    assert waiting["state"] in {"queued", "sending"}
    service.wait_for_state(email_id, "sent")
    assert len(taken_by(fake, email_id)) == 1


def test_fifty_emails_wait_out_an_outage_of_both_providers_and_go_once_each(
    service: Service, fake: AsProcess
) -> None:
    fake.script(failing("*", 503))
    ids = [service.accept(subject=f"no. {n}") for n in range(50)]
    time.sleep(6)  # the outage, on the scale of these settings: six resets
    during = [service.email(email_id) for email_id in ids]
    calls_in_outage = len(fake.calls)

    fake.script()

    assert {email["state"] for email in during} <= {"queued", "sending"}
    parked = [email for email in during if email["waiting_for"] == "provider"]
    assert parked
    assert all(email["not_before"] for email in parked)
    service.wait_for_state(ids, "sent")
    assert sorted(t["email_id"] for t in fake.taken) == sorted(ids)
    print(f"\n50 emails, 6 s outage: {calls_in_outage} calls in it, all sent once")


def test_a_scheduled_email_is_never_early_and_soon_after(
    service: Service, fake: AsProcess
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=4)

    email_id = service.accept(scheduled_at=at.isoformat())

    assert service.email(email_id)["state"] == "scheduled"
    service.wait_for_state(email_id, "sent")
    (taken,) = [t for t in fake.taken if t["email_id"] == email_id]
    assert taken["at"] >= at.timestamp()


def test_everything_of_an_email_is_carried(service: Service, fake: AsProcess) -> None:
    email_id = service.accept(
        **{"from": '"Ä, B" <x@example.org>'},
        to=["Jo <jo@example.com>", "b@example.com"],
        cc="c@example.com",
        bcc=["d@example.com"],
        reply_to="r@example.org",
        subject="Grüße ✓",
        text="text",
        html="<p>html</p>",
        headers={"X-Order": "17"},
        tags=[{"name": "kind", "value": "receipt"}],
        metadata={"a.b": "$c"},
        attachments=[{"filename": "a.txt", "content": "aGk="}],
        delivery="at_most_once",
        provider="mailgun",
        priority="high",
    )

    service.wait_for_state(email_id, "sent")
    shown = service.email(email_id)
    assert shown["metadata"] == {"a.b": "$c"}
    assert shown["delivery"] == "at_most_once"
    assert shown["priority"] == "high"
    (taken,) = fake.taken
    assert taken["provider"] == "mailgun"
    assert sorted(taken["recipients"]) == [
        "b@example.com",
        "c@example.com",
        "d@example.com",
        "jo@example.com",
    ]
    assert taken["subject"] == "Grüße ✓"
