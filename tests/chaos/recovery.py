"""How soon all was well again: pure, from the same evidence as the verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.cases import Case, cases_of
from tests.chaos.evidence import DONE, Evidence, Fault, Post

#: Stands for all kinds together, and for the time between them.
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What one kind of fault has cost, over all the times that it was made.

    Attributes:
        times: How often it was made.
        waits: For each email that was open when it ended, and was sent: how long after
            the end, in seconds.
        slowest_post_s: The longest that a client waited for an answer meanwhile.
    """

    kind: str
    times: int
    waits: tuple[float, ...]
    slowest_post_s: float

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures that are shown; ``None`` where no email was open."""
        return {
            "times": self.times,
            "emails": len(self.waits),
            "p50_s": percentile(self.waits, 0.5),
            "p95_s": percentile(self.waits, 0.95),
            "max_s": max(self.waits, default=None),
            "slowest_post_s": self.slowest_post_s,
        }


def together(found: Iterable[Recovery]) -> list[Recovery]:
    """Return the costs of several runs as those of one, by kind."""
    by_kind: dict[str, list[Recovery]] = defaultdict(list)
    for one in found:
        by_kind[one.kind].append(one)
    return [
        Recovery(
            kind=kind,
            times=sum(one.times for one in same),
            waits=tuple(wait for one in same for wait in one.waits),
            slowest_post_s=max(one.slowest_post_s for one in same),
        )
        for kind, same in sorted(by_kind.items())
    ]


def recoveries(evidence: Evidence) -> list[Recovery]:
    """Return what each kind of fault has cost, and all of them together.

    Other faults may come before an email is sent: what they cost is counted to this
    one too.
    """
    cases = [case for case in cases_of(evidence) if _counts(case)]
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in evidence.faults:
        by_kind[fault.kind].append(fault)
    found = [
        _recovery(kind, faults, cases, evidence.posts)
        for kind, faults in sorted(by_kind.items())
    ]
    return [*found, _recovery(ALL, evidence.faults, cases, evidence.posts)]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value that so large a share of them does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _counts(case: Case) -> bool:
    """Whether the time until it is sent says something of the service."""
    return bool(case.sends) and not case.was_refused


def _recovery(
    kind: str, faults: Sequence[Fault], cases: Iterable[Case], posts: Iterable[Post]
) -> Recovery:
    cases = list(cases)
    waits = [wait for fault in faults for wait in _waits(fault, cases)]
    met = [
        post
        for post in posts
        if kind == ALL or any(_meets(post, fault) for fault in faults)
    ]
    return Recovery(
        kind=kind,
        times=len(faults),
        waits=tuple(waits),
        slowest_post_s=max((post.seconds for post in met), default=0.0),
    )


def _waits(fault: Fault, cases: Iterable[Case]) -> Iterable[float]:
    """Give how long after a fault each email was sent that was open at its end."""
    for case in cases:
        sent_at = case.sends[0].at
        ready_at = max(case.post.asked_at, _due(case))
        if ready_at <= fault.ended_at < sent_at:
            yield sent_at - fault.ended_at


def _due(case: Case) -> float:
    moves = [
        verb.to
        for verb in case.verbs
        if verb.name == "reschedule" and verb.answer == DONE and verb.to is not None
    ]
    return moves[-1] if moves else case.post.scheduled_at or 0.0


def _meets(post: Post, fault: Fault) -> bool:
    return post.asked_at < fault.ended_at and post.answered_at > fault.started_at
