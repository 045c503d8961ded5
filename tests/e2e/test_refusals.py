"""Refusals that are not an outage: one client's From, and too many at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.counting import parts_of, post_many, wait_until_all_are
from tests.e2e.load import sends
from tests.e2e.scale import scaled
from tests.e2e.service import Service
from tests.fake_provider import Mode, Rule, recorded

GOOD = 100

#: What a provider asks for with a 429, in seconds.
PAUSE_S = 5

#: How long after it calls that had been permitted before may still come in.
IN_HAND_S = scaled(suite=2.0, full=0.5)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service of two worker processes and two providers."""
    folder = tmp_path_factory.mktemp("two")
    with Service(folder, WORKER_PROCESSES="2", WORKER_THREADS="4") as running:
        yield running


def answering(provider: str, name: str, **rule: object) -> Rule:
    """Return a rule that answers as recorded, and keeps the connection."""
    head, _, body = recorded(provider, name).partition(b"\r\n\r\n")
    return Rule(
        provider=provider,
        mode=Mode.STATUS,
        status=int(head.split()[1]),
        body=body.decode(),
        **rule,  # type: ignore[arg-type]
    )


def with_one_unlisted(service: Service, sender: str) -> tuple[list[str], str]:
    """POST good emails with one in their midst whose From is not verified.

    Args:
        service: Where to.
        sender: Of a domain that no other test uses: a refused one is remembered.
    """
    good = post_many(service, GOOD // 2)
    bad = service.accept(**{"from": sender}, to=["unlisted@example.com"])
    return [*good, *post_many(service, GOOD - len(good))], bad


def assert_no_breaker_opened(service: Service) -> None:
    assert "breaker.changed" not in service.log("worker")
    with parts_of(service) as parts:
        states = {name: parts.board.view(name).health.state for name in parts.providers}
    assert set(states.values()) == {"closed"}


def test_a_from_that_the_only_provider_refuses_fails_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("one")
    with Service(folder, POSTROOM_PROVIDERS="sendgrid") as one:
        one.fake.script(
            answering("sendgrid", "sender_identity", recipient="unlisted@example.com")
        )

        good, bad = with_one_unlisted(one, "post@client.example")

        wait_until_all_are(one, good, "sent")
        one.wait_for_state(bad, "failed")
        assert one.email(bad)["reason"] == "sender_not_allowed"
        assert sends(one.fake) == dict.fromkeys(good, 1)
        assert_no_breaker_opened(one)


def test_a_from_that_one_provider_refuses_goes_to_the_other(two: Service) -> None:
    two.fake.reset()
    two.fake.script(
        answering("sendgrid", "sender_identity", recipient="unlisted@example.com")
    )

    good, bad = with_one_unlisted(two, "post@half.example")

    wait_until_all_are(two, [*good, bad], "sent")
    assert [a["kind"] for a in two.email(bad)["attempts"]] == ["sender", None]
    assert sends(two.fake) == dict.fromkeys([*good, bad], 1)
    taken_by = {t["email_id"]: t["provider"] for t in two.fake.taken}
    assert taken_by.pop(bad) == "mailgun"
    assert set(taken_by.values()) == {"sendgrid"}
    assert_no_breaker_opened(two)


def test_a_from_that_all_providers_refuse_fails_alone(two: Service) -> None:
    two.fake.reset()
    refused = {"recipient": "unlisted@example.com"}
    two.fake.script(
        answering("sendgrid", "sender_identity", **refused),
        answering("mailgun", "not_allowed_from", **refused),
    )

    good, bad = with_one_unlisted(two, "post@nowhere.example")

    wait_until_all_are(two, good, "sent")
    two.wait_for_state(bad, "failed")
    assert two.email(bad)["reason"] == "sender_not_allowed"
    assert sends(two.fake) == dict.fromkeys(good, 1)
    assert_no_breaker_opened(two)


def test_a_429_pauses_its_provider_for_all_worker_processes(two: Service) -> None:
    two.fake.reset()
    headers = {"Retry-After": str(PAUSE_S)}
    two.fake.script(
        Rule(provider="sendgrid", times=16, delay_ms=200),
        answering("sendgrid", "throttled", times=1, headers=headers),
    )

    pinned = post_many(two, 60, provider="sendgrid")
    first = _when_throttled(two)
    free = post_many(two, 10)
    wait_until_all_are(two, free, "sent")
    waiting = [two.email(email_id) for email_id in pinned]
    wait_until_all_are(two, pinned, "sent")

    by = {t["email_id"]: t["provider"] for t in two.fake.taken}
    calls = [c["at"] - first for c in two.fake.calls if c["provider"] == "sendgrid"]
    after = sorted(at for at in calls if at > IN_HAND_S)
    print(
        f"\n429 with Retry-After {PAUSE_S}: {sum(0 < at <= IN_HAND_S for at in calls)} "
        f"calls in hand, the next one after {after[0]:.2f} s, "
        f"all sent after {after[-1]:.2f} s"
    )
    assert {email["state"] for email in waiting} <= {"queued", "sending", "sent"}
    assert any(email["waiting_for"] == "provider" for email in waiting)
    assert after[0] >= PAUSE_S
    assert {by[email_id] for email_id in free} == {"mailgun"}
    assert sends(two.fake) == dict.fromkeys([*pinned, *free], 1)
    assert_no_breaker_opened(two)


def _when_throttled(service: Service) -> float:
    def throttled() -> list[float]:
        return [c["at"] for c in service.fake.calls if c["mode"] == Mode.STATUS]

    service.wait_until(lambda: bool(throttled()), "a 429")
    return throttled()[0]
