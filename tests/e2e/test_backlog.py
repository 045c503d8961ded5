"""A long queue is no reason to hint again and again, and a lost one is made anew."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.counting import Messages, emails_of, post_many, wait_until_all_are
from tests.e2e.load import sends
from tests.e2e.scale import scaled
from tests.e2e.service import Service
from tests.fake_provider import Rule

BACKLOG = scaled(suite=200, full=5_000)

#: The time that the queue has for an email before the sweep offers it again, in
#: seconds: in the same proportion to the backlog.
GRACE_S = scaled(suite=3, full=60)

#: So long that no email is offered for being late.
LONG_GRACE_S = scaled(suite=60, full=600)

#: How long the provider takes, so that its share of the threads sends 50 a second.
ANSWER_MS = 200

SWEEP_EVERY_S = scaled(suite=1, full=5)

PATIENCE_S = 60 + BACKLOG / 5

MOST_MESSAGES = 3


@contextlib.contextmanager
def a_service(folder: Path, *, grace_s: int) -> Iterator[Service]:
    with Service(
        folder,
        POSTROOM_SWEEP_GRACE_S=str(grace_s),
        POSTROOM_SWEEP_EVERY_S=str(SWEEP_EVERY_S),
    ) as service:
        service.fake.script(Rule(delay_ms=ANSWER_MS))
        yield service


def a_backlog(service: Service) -> list[str]:
    """POST emails while no worker runs, then start one."""
    service.kill9("worker")
    ids = post_many(service, BACKLOG)
    service.start("worker")
    return ids


def per_email(messages: Messages, ids: list[str]) -> Counter[int]:
    """Return how many emails had how many messages in the router's queues."""
    wanted = set(ids)
    counts = Counter(m.email_id for m in messages.to("router") if m.email_id in wanted)
    return Counter(counts[email_id] for email_id in ids)


def test_a_backlog_is_offered_sparingly(tmp_path: Path) -> None:
    with (
        a_service(tmp_path, grace_s=GRACE_S) as service,
        Messages(service) as messages,
    ):
        began = time.time()
        ids = a_backlog(service)
        wait_until_all_are(service, ids, "sent", patience_s=PATIENCE_S)
        told = per_email(messages, ids)
        times = [taken["at"] for taken in service.fake.taken]
        assert sends(service.fake) == dict.fromkeys(ids, 1)

    lasted = max(times) - began
    pace = len(times) / (max(times) - min(times))
    print(
        f"\n{BACKLOG} emails, {pace:.0f}/s, in {lasted:.0f} s in all: "
        f"messages into router per email {sorted(told.items())}"
    )
    # The waits between offers double: on a machine that is too busy for the pace, the
    # last emails have waited for some more of them.
    offers = 1 + int(math.log2(max(1.0, lasted / GRACE_S)))
    assert max(told) <= max(MOST_MESSAGES, 1 + offers)


def test_all_that_waits_is_offered_within_one_sweep_of_a_flush(tmp_path: Path) -> None:
    with (
        a_service(tmp_path, grace_s=LONG_GRACE_S) as service,
        Messages(service) as messages,
    ):
        ids = a_backlog(service)
        service.wait_until(
            lambda: len(service.fake.lines()) >= BACKLOG // 3,
            "a third to be sent",
            patience_s=PATIENCE_S,
        )
        flushed_at = time.time()
        service.flush_redis()
        waiting = _waiting(service, ids)

        def offered() -> dict[str, float]:
            later = [m for m in messages.to("router") if m.at >= flushed_at]
            return {m.email_id: m.at for m in reversed(later) if m.email_id in waiting}

        def left() -> set[str]:
            # A worker goes on with what it had fetched before.
            taken = {line["email_id"] for line in service.fake.lines()}
            return waiting - set(offered()) - taken

        service.wait_until(
            lambda: not left(),
            lambda: f"offers of {len(left())} of {len(waiting)}",
            patience_s=PATIENCE_S,
        )
        last = max(offered().values()) - flushed_at
        wait_until_all_are(service, ids, "sent", patience_s=PATIENCE_S)
        told = per_email(messages, ids)
        assert sends(service.fake) == dict.fromkeys(ids, 1)

    print(
        f"\nflushed with {len(waiting)} of {BACKLOG} waiting: the last one offered "
        f"after {last:.1f} s, messages into router per email {sorted(told.items())}"
    )
    assert last < LONG_GRACE_S / 2, "a sweep that knows of no loss would be later"


def _waiting(service: Service, ids: list[str]) -> set[str]:
    with emails_of(service) as emails:
        found = emails.find({"state": "queued"}, {"_id": 1})
        return {str(one["_id"]) for one in found} & set(ids)
