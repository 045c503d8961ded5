"""A provider that accepts everything and never answers: how many copies there are."""

from __future__ import annotations

from collections import Counter

from postroom.domain.policy import Policy
from tests.e2e.counting import post_many, wait_until_all_are
from tests.e2e.scale import scaled
from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Mode, Rule

#: Emails of each kind.
EMAILS = scaled(suite=1, full=5)

#: The longest that they take: each call of a breaker's probes doubles its wait.
PATIENCE_S = scaled(suite=60, full=900)

MOST_COPIES = Policy().max_unknown + 1


def copies(fake: AsProcess, ids: list[str]) -> list[int]:
    counts = Counter(taken["email_id"] for taken in fake.taken)
    return [counts[email_id] for email_id in ids]


def test_a_provider_that_never_answers_gets_a_bounded_number_of_copies(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(provider="sendgrid", mode=Mode.HANG, accepts=True))

    again = post_many(service, EMAILS, provider="sendgrid")
    once = post_many(service, EMAILS, provider="sendgrid", delivery="at_most_once")
    elsewhere = post_many(service, EMAILS)

    def are_held(ids: list[str]) -> bool:
        waits = [service.email(email_id)["waiting_for"] for email_id in ids]
        return all(wait == "operator" for wait in waits)

    service.wait_until(lambda: are_held(once), "held", patience_s=PATIENCE_S)
    service.wait_until(lambda: are_held(again), "held", patience_s=PATIENCE_S)
    wait_until_all_are(service, elsewhere, "sent", patience_s=PATIENCE_S)
    print(
        f"\ncopies, {EMAILS} emails each: at_least_once {copies(fake, again)}, "
        f"at_most_once {copies(fake, once)}, "
        f"with another provider {copies(fake, elsewhere)}"
    )
    assert copies(fake, again) == [MOST_COPIES] * EMAILS
    assert copies(fake, once) == [1] * EMAILS
    assert all(count <= MOST_COPIES for count in copies(fake, elsewhere))
    for email_id in again:
        _tells_of_each_copy(service.email(email_id))
    for email_id in once:
        shown = service.email(email_id)
        assert (shown["state"], shown["possible_duplicates"]) == ("unknown", [])


def _tells_of_each_copy(shown: dict[str, object]) -> None:
    """What GET says of an email that was sent again until it was held."""
    later = [
        {"attempt": no, "earlier": list(range(1, no))}
        for no in range(2, MOST_COPIES + 1)
    ]
    told = shown["possible_duplicates"]
    assert isinstance(told, list)
    assert shown["state"] == "unknown"
    assert [{k: v for k, v in one.items() if k != "at"} for one in told] == later
