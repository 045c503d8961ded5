"""How soon an idle service has an email at its provider, and what idling costs.

Printed, never asserted.
"""

from __future__ import annotations

import random
import statistics
import time

import redis

from tests.e2e.service import Service
from tests.fake_provider import AsProcess

EMAILS = 60

#: How long the idle service is watched, in seconds.
WATCHED_S = 3.0

#: Three queues of the router, one each of sweep and reconcile, three of each provider
#: and of test email, all with their delayed ones; and a few scripts of heartbeats.
MOST_LOOKS_S = 2 * (3 + 2 + 3 * 3) + 12


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


def test_an_idle_service_asks_redis_hardly_ever(service: Service) -> None:
    with redis.Redis.from_url(service.redis.url) as client:
        before = _asked(client)
        time.sleep(WATCHED_S)
        looks, commands = (
            (now - then) / WATCHED_S
            for now, then in zip(_asked(client), before, strict=True)
        )

    print(f"\nidle, two providers: {looks:.0f} looks, {commands:.0f} commands a second")
    # Each queue is looked into once a second, however soon an email is picked up.
    assert looks <= MOST_LOOKS_S


def _asked(client: redis.Redis) -> tuple[int, int]:
    """Return how often a queue was looked into (a script), and all commands so far."""
    calls: int = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    commands: int = client.info("stats")["total_commands_processed"]
    return calls, commands
