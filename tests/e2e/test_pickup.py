"""How soon an idle service has an email at its provider. Printed, never asserted."""

from __future__ import annotations

import random
import statistics
import time

from tests.e2e.service import Service
from tests.fake_provider import AsProcess

EMAILS = 60


def test_sixty_emails_to_an_idle_service_are_all_picked_up(
    service: Service, fake: AsProcess
) -> None:
    draw = random.Random(7)  # noqa: S311 - gaps between posts, not secrets
    posted: dict[str, float] = {}
    for number in range(EMAILS):
        began = time.time()
        posted[service.accept(subject=f"no. {number}")] = began
        time.sleep(draw.uniform(0.05, 0.25))

    service.wait_for_state(posted, "sent")

    taken = {t["email_id"]: t["at"] for t in fake.taken}
    assert set(taken) == set(posted)
    waits = sorted((taken[i] - began) * 1000 for i, began in posted.items())
    print(
        f"\nPOST to provider, idle, {EMAILS} emails: "
        f"p50 {statistics.median(waits):.0f} ms, max {waits[-1]:.0f} ms"
    )
