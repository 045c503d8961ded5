"""`kill -9` of any process at any time, under load: every 201 is sent."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.e2e.load import Load, sends
from tests.e2e.scale import a_seed, scaled
from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Rule

#: How long processes are killed, in seconds.
CHAOS_S = scaled(suite=12.0, full=60.0)

#: Between two kills, in seconds.
PAUSE_S = (0.3, 2.0)

#: What a call takes, so that a killed worker has some in hand.
CALL_MS = 150

#: After the last kill: a lease, the wait for word of it, and the sweeps between.
PATIENCE_S = 60.0


def kill_and_restart(service: Service, draw: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    end = time.monotonic() + CHAOS_S
    while time.monotonic() < end:
        name = draw.choice(["web", "worker", "router", "scheduler"])
        service.kill9(name)
        service.start(name)
        killed[name] += 1
        time.sleep(draw.uniform(*PAUSE_S))
    return killed


def test_every_201_is_sent_and_every_further_copy_is_explained(
    service: Service, fake: AsProcess
) -> None:
    seed = a_seed()
    print(f"\nseed {seed}")
    fake.script(Rule(delay_ms=CALL_MS))

    with Load(service, clients=3) as load:
        killed = kill_and_restart(service, random.Random(seed))  # noqa: S311 - a test's
    drained = time.monotonic()
    service.wait_until_ready()
    service.wait_for_state(load.accepted, "sent", patience_s=PATIENCE_S)
    drained = time.monotonic() - drained

    counts = sends(fake)
    assert set(load.accepted) <= set(counts)
    again = {email_id: n for email_id, n in counts.items() if n > 1}
    for email_id, copies in again.items():
        email = service.email(email_id)
        outcomes = [attempt["outcome"] for attempt in email["attempts"]]
        assert email["possible_duplicate"] is True
        assert copies <= 1 + outcomes.count("unknown"), email
    print(
        f"killed {dict(killed)} in {CHAOS_S:.0f} s; answers {dict(load.answers)}; "
        f"all {len(load.accepted)} sent {drained:.1f} s after, "
        f"{len(again)} of them more than once, each explained"
    )
