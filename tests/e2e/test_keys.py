"""A provider that takes emails and loses its answers, but honours idempotency keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.counting import post_many, wait_until_all_are
from tests.e2e.scale import scaled
from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Mode, Rule

#: Emails of each kind.
EMAILS = scaled(suite=1, full=20)

#: What the first calls come to, after the email was taken. They are few: a breaker that
#: opens lets only one call at a time use the next of them up.
FAULTS = (
    Rule(mode=Mode.DROP, accepts=True, times=scaled(suite=1, full=3)),
    Rule(mode=Mode.STATUS, status=500, accepts=True, times=scaled(suite=1, full=3)),
    Rule(mode=Mode.HANG, accepts=True, times=scaled(suite=0, full=3)),
    Rule(mode=Mode.CUT, accepts=True, times=scaled(suite=0, full=3)),
    # Longer than the service waits: a repetition can find its key in use.
    Rule(delay_ms=2500, times=1),
)

#: The longest that they take, in seconds.
PATIENCE_S = scaled(suite=60, full=300)


class OfResend(Service):
    """A service of Resend alone, played by the fake."""

    @property
    def environ(self) -> dict[str, str]:
        resend = {"RESEND_API_KEY": "re_test", "RESEND_API_URL": self.fake.url}
        return super().environ | resend | {"POSTROOM_PROVIDERS": "resend"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with OfResend(tmp_path_factory.mktemp("keys")) as running:
        yield running


def copies(fake: AsProcess, ids: list[str]) -> list[int]:
    counts = Counter(taken["email_id"] for taken in fake.taken)
    return [counts[email_id] for email_id in ids]


def test_lost_answers_cost_no_copy_and_hold_nothing(
    service: Service, fake: AsProcess
) -> None:
    fake.script(*FAULTS)

    ids = post_many(service, EMAILS)
    ids += post_many(service, EMAILS, delivery="at_most_once")

    wait_until_all_are(service, ids, "sent", patience_s=PATIENCE_S)
    print(f"\n{len(ids)} emails, {len(fake.calls)} calls, {copies(fake, ids)} copies")
    assert copies(fake, ids) == [1] * len(ids)
    assert len(fake.calls) > len(ids)
    for email_id in ids:
        shown = service.email(email_id)
        assert shown["possible_duplicates"] == []
        assert shown["confirmed_duplicates"] == []


def test_without_keys_a_lost_answer_sends_twice(
    service: Service, fake: AsProcess
) -> None:
    """It breaks its promise: so the other test would have seen a copy."""
    fake.script(Rule(mode=Mode.DROP, accepts=True, times=1))
    fake.honour_keys(False)

    ids = post_many(service, 1)

    wait_until_all_are(service, ids, "sent")
    fake.honour_keys(True)
    assert copies(fake, ids) == [2]
