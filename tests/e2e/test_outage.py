"""Both providers away: mail waits, and comes back once, in order and at a pace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from postroom.adapters.breaker_board import RedisBreakerBoard
from tests.e2e.counting import (
    StoreWrites,
    busiest_second,
    emails_of,
    parts_of,
    post_many,
    wait_until_all_are,
)
from tests.e2e.scale import IS_FULL, scaled
from tests.e2e.service import Service
from tests.fake_provider import Mode, Rule

PROVIDERS = ("sendgrid", "mailgun")
EMAILS = scaled(suite=200, full=5_000)

#: How long both refuse everything after the breakers opened, in seconds: many times
#: the first wait for a probe, as ten minutes are with the usual settings.
OUTAGE_S = scaled(suite=6, full=120)

#: Emails a second before the outage.
PACE_PER_S = scaled(suite=20, full=40)

#: What the service keeps to when it knows no faster pace, in emails a second.
LEAST_PACE_PER_S = 10

#: How long after a breaker opened calls that had been permitted before may come in,
#: and how much later than after a timed reset all may be sent, in seconds. The suite
#: allows for a busy machine.
IN_HAND_S = scaled(suite=2.0, full=0.5)
LATER_S = scaled(suite=15.0, full=2.0)

#: The waits for a probe in the tests' settings, in seconds: doubled up to the last.
FIRST_WAIT_S, LONGEST_WAIT_S = 1, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What was seen of one outage. Instants are epoch seconds.

    Attributes:
        opened_at: When the last of the breakers opened.
        mended_at: When the providers accepted again.
        calls: All of them, also those before the outage.
        writes: To each email that was accepted in it, beside its insert.
        emails: These emails as they are stored at the end.
    """

    opened_at: float
    mended_at: float
    calls: list[dict[str, Any]]
    taken: Counter[str]
    writes: dict[str, int]
    emails: list[dict[str, Any]]
    states_in_it: Counter[str]

    @property
    def last_sent_after_s(self) -> float:
        """How long after its end the last email was accepted."""
        return max(call["at"] for call in self.calls) - self.mended_at

    @property
    def pace_before(self) -> float:
        """Calls a second before it began, counted over the fullest second."""
        accepted = [c["at"] for c in self.calls if c["mode"] == Mode.ACCEPT]
        return busiest_second(at for at in accepted if at < self.opened_at)


def weather(service: Service, *, then: Callable[[], None] = lambda: None) -> Outage:
    """Let both providers go away under mail and come back, and tell what happened.

    Args:
        service: Whole, with nothing waiting.
        then: What is done at once when they are back.
    """
    service.fake.reset()
    before = post_many(service, 3 * PACE_PER_S, per_s=PACE_PER_S)
    with StoreWrites(service) as writes:
        service.fake.script(Rule(mode=Mode.STATUS, status=503))
        ids = post_many(service, EMAILS)
        opened_at = _wait_until_both_are_open(service)
        time.sleep(max(0.0, opened_at + OUTAGE_S - time.time()))
        states = _states(service, ids)
        service.fake.script()
        mended_at = time.time()
        then()
        slowest = 30 + EMAILS / LEAST_PACE_PER_S
        wait_until_all_are(service, [*before, *ids], "sent", patience_s=slowest)
    with emails_of(service) as emails:
        stored = [found for found in emails.find() if str(found["_id"]) in set(ids)]
    return Outage(
        opened_at=opened_at,
        mended_at=mended_at,
        calls=service.fake.calls,
        taken=Counter(taken["email_id"] for taken in service.fake.taken),
        writes={email_id: writes.of(email_id) for email_id in ids},
        emails=stored,
        states_in_it=states,
    )


def _wait_until_both_are_open(service: Service) -> float:
    """Return when the last one opened, as its breaker keeps it."""

    def opened_at() -> list[float]:
        kept = [client.hget(f"postroom:breaker:{p}", "opened_at") for p in PROVIDERS]
        return [float(at) / 1000 for at in kept if at is not None]

    with redis.Redis.from_url(service.redis.url) as client, parts_of(service) as parts:
        service.wait_until(
            lambda: (
                not any(
                    parts.board.view(p).health.state.value == "closed"
                    for p in PROVIDERS
                )
            ),
            "two open breakers",
        )
        return max(opened_at())


def _states(service: Service, ids: list[str]) -> Counter[str]:
    with emails_of(service) as emails:
        found = emails.find({}, {"state": 1, "waiting_for": 1})
        return Counter(
            f"{one['state']}, waiting for {one.get('waiting_for')}"
            for one in found
            if str(one["_id"]) in set(ids)
        )


def most_probes(seconds: float) -> int:
    """Return how many waits of one breaker may end within a time, at least one."""
    probes, at, wait = 0, 0.0, FIRST_WAIT_S
    while at + wait <= seconds:
        probes, at, wait = probes + 1, at + wait, min(2 * wait, LONGEST_WAIT_S)
    return probes


@pytest.fixture(scope="module")
def timed(service: Service) -> Outage:
    """Give an outage whose end only the probes find out."""
    return weather(service)


def test_nothing_fails_in_an_outage_and_all_is_sent_once_after_it(
    timed: Outage,
) -> None:
    print(f"\n{EMAILS} emails, {OUTAGE_S} s away, in it: {dict(timed.states_in_it)}")

    assert {state.partition(",")[0] for state in timed.states_in_it} <= {
        "queued",
        "sending",
    }
    assert len(timed.emails) == EMAILS
    assert all(timed.taken[str(email["_id"])] == 1 for email in timed.emails)


def test_only_probes_call_a_provider_whose_breaker_is_open(timed: Outage) -> None:
    settled_at = timed.opened_at + IN_HAND_S
    calls = Counter(
        call["provider"]
        for call in timed.calls
        if settled_at <= call["at"] < timed.mended_at
    )
    allowed = most_probes(timed.mended_at - timed.opened_at)
    print(f"\ncalls while open: {dict(calls)}, waits that ended: {allowed} each")

    assert all(calls[provider] <= allowed for provider in PROVIDERS)


def test_a_parked_email_costs_three_writes_at_most_and_one_for_each_knock(
    timed: Outage,
) -> None:
    """Whoever is a breaker's next probe is parked once more when that fails.

    Two of them may knock at the end of a wait: the chosen one, and the oldest, which
    the sweep sends in case the chosen one was lost.
    """
    extra = Counter(
        timed.writes[str(email["_id"])] - 2 * len(email["attempts"])
        for email in timed.emails
    )
    knocks = 2 * len(PROVIDERS) * most_probes(timed.mended_at - timed.opened_at)
    print(f"\nwrites beyond insert, claim and record: {sorted(extra.items())}")

    assert sum((writes - 3) * n for writes, n in extra.items() if writes > 3) <= knocks
    assert sum(writes * n for writes, n in extra.items()) <= 3 * EMAILS


def test_what_was_parked_comes_back_at_a_pace(timed: Outage) -> None:
    after = [call["at"] for call in timed.calls if call["at"] >= timed.mended_at]
    limit = 2 * max(timed.pace_before, LEAST_PACE_PER_S)
    mean = len(after) / (max(after) - min(after))
    print(
        f"\ncalls a second: {timed.pace_before} before, {mean:.0f} after, "
        f"{busiest_second(after)} in its busiest second, {limit} allowed; "
        f"all sent {timed.last_sent_after_s:.1f} s after the end"
    )

    assert mean <= limit
    if IS_FULL:  # a busy machine stalls and makes up for it
        assert busiest_second(after) <= limit


def test_after_a_manual_reset_mail_goes_no_later_than_after_a_timed_one(
    service: Service, timed: Outage
) -> None:
    def reset() -> None:
        with parts_of(service) as parts:
            assert isinstance(parts.board, RedisBreakerBoard)
            for provider in PROVIDERS:
                assert parts.board.reset(provider)
                parts.hints.release(provider)

    by_hand = weather(service, then=reset)

    print(
        f"\nlast email sent after the end: by hand {by_hand.last_sent_after_s:.1f} s, "
        f"timed {timed.last_sent_after_s:.1f} s"
    )
    assert by_hand.last_sent_after_s <= timed.last_sent_after_s + LATER_S
