"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of a run; the defaults make one of five minutes on two idle cores.

    Attributes:
        seconds: Of each round of requests.
        rounds: Of each pair of rounds; medians are over these.
        connections: Of the clients of the POST.
        emails: Whose cost in CPU is measured.
        counted: Emails whose trips are counted one by one.
        picked_up: Emails whose way from the idle service is timed.
        idle_s: How long an idle service is watched.
        hops: Messages that are timed from enqueue to actor.
        enqueued: Messages of a round of enqueueing.
        delays_ms: Of the provider, for the drain.
        workers: Processes and threads of each, for the drain.
        drain_s: How long a drain should take where threads / delay is the bound.
        drained: Emails of a drain at most, and of one without a delay.
        batches: Of a hundred emails, a round.
        documents: In the collection, for its growth.
        grown: Operations that are timed at each of these.
        due: Emails of the backlogs that only the sweep knows of.
        due_delays_ms: Of the provider, while the last of these is worked off.
        fresh: Emails that are posted without a backlog, to compare with.
        warm_up: Emails before these: by then all connections are open.
    """

    seconds: float = 1.2
    rounds: int = 3
    connections: tuple[int, ...] = (1, 16, 64)
    emails: int = 600
    counted: int = 40
    picked_up: int = 60
    idle_s: float = 4.0
    hops: int = 100
    enqueued: int = 500
    delays_ms: tuple[int, ...] = (0, 50, 200)
    workers: tuple[tuple[int, int], ...] = (
        (1, 8),
        (1, 32),
        (1, 64),
        (2, 32),
        (2, 64),
    )
    drain_s: float = 2.5
    drained: int = 800
    batches: int = 10
    documents: tuple[int, ...] = (1_000, 20_000)
    grown: int = 60
    due: tuple[int, ...] = (500, 2_000)
    due_delays_ms: tuple[int, ...] = (50,)
    fresh: int = 30
    warm_up: int = 5


#: For a quiet machine and a quarter of an hour.
FULL = Size(
    seconds=3.0,
    rounds=5,
    emails=3000,
    counted=100,
    picked_up=200,
    idle_s=20.0,
    hops=300,
    enqueued=2000,
    workers=((1, 8), (1, 32), (1, 64), (2, 8), (2, 32), (2, 64)),
    drain_s=6.0,
    drained=3000,
    batches=30,
    documents=(1_000, 20_000, 200_000),
    grown=300,
    due=(1_000, 10_000, 100_000),
    fresh=300,
)

#: To see that everything works; the figures say nothing.
TINY = Size(
    seconds=0.3,
    rounds=1,
    connections=(1, 4),
    emails=20,
    counted=5,
    picked_up=5,
    idle_s=0.5,
    hops=5,
    enqueued=20,
    delays_ms=(0, 20),
    workers=((1, 8),),
    drain_s=0.3,
    drained=20,
    batches=1,
    documents=(100, 300),
    grown=5,
    due=(50, 250),
    due_delays_ms=(0,),
    fresh=5,
)
