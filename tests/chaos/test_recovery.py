"""How long it took, on made-up evidence."""

from __future__ import annotations

import pytest

from tests.chaos.evidence import Evidence, Fault, Refusal
from tests.chaos.recovery import Recovery, percentile, recoveries, together
from tests.chaos.test_judge import a_document, a_post, a_send, a_verb, of


def a_fault(kind: str = "kill", started: float = 100.0, ended: float = 103.0) -> Fault:
    return Fault(kind=kind, started_at=started, ended_at=ended)


def recovery(evidence: Evidence, *faults: Fault, kind: str = "kill") -> Recovery:
    whole = Evidence(
        posts=evidence.posts,
        verbs=evidence.verbs,
        sends=evidence.sends,
        refusals=evidence.refusals,
        documents=evidence.documents,
        faults=faults,
    )
    (found,) = (one for one in recoveries(whole) if one.kind == kind)
    return found


def test_what_was_open_when_the_fault_ended_counts_from_then() -> None:
    found = recovery(of(a_send(105.5), a_document()), a_fault())

    assert found.waits == (2.5,)
    assert found.figures == {
        "times": 1,
        "emails": 1,
        "p50_s": 2.5,
        "p95_s": 2.5,
        "max_s": 2.5,
        "slowest_post_s": 0.01,
    }


@pytest.mark.parametrize(
    ("sent_at", "asked_at"), [(102.0, 100.0), (105.0, 104.0)], ids=["sent", "later"]
)
def test_what_was_sent_before_that_or_accepted_after_it_does_not_count(
    sent_at: float, asked_at: float
) -> None:
    post = a_post(asked_at=asked_at)

    found = recovery(of(a_send(sent_at), a_document(), post=post), a_fault())

    assert found.waits == ()
    assert found.figures["max_s"] is None


def test_what_was_not_due_yet_does_not_count_and_a_move_changes_that() -> None:
    post = a_post(scheduled_at=104.0)
    moved = a_verb("reschedule", to=102.0)

    assert recovery(of(a_send(105.0), post=post), a_fault()).waits == ()
    assert recovery(of(a_send(105.0), moved, post=post), a_fault()).waits == (2.0,)


def test_what_was_never_sent_or_was_refused_says_nothing() -> None:
    refusal = Refusal(email_id=a_post().email_id, status=400, at=101.0)

    assert recovery(of(a_document()), a_fault()).waits == ()
    assert recovery(of(a_send(105.0), refusal), a_fault()).waits == ()


def test_the_slowest_answer_is_told_of_each_fault_and_of_all_the_time() -> None:
    evidence = of(a_send(101.0), post=a_post(asked_at=99.0, seconds=1.5))

    assert recovery(evidence, a_fault()).slowest_post_s == 1.5
    assert recovery(evidence, a_fault(started=101.0)).slowest_post_s == 0.0
    calm = recovery(evidence, a_fault(started=101.0), kind="all")
    assert calm.slowest_post_s == 1.5


def test_faults_of_a_kind_are_taken_together() -> None:
    evidence = of(a_send(110.0), a_document())

    found = recovery(evidence, a_fault(), a_fault(started=105.0, ended=108.0))

    assert (found.times, found.waits) == (2, (7.0, 2.0))


def test_runs_are_taken_together_by_kind() -> None:
    evidence = of(a_send(105.5), a_document())
    one = recovery(evidence, a_fault())
    other = recovery(evidence, a_fault("flush"), kind="flush")

    flush, kill = together([one, other, one])

    assert flush == other
    assert (kill.times, kill.waits) == (2, (2.5, 2.5))


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.95) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 1.0) == 3.0
