"""The verdict, on made-up evidence: each figure, and what excuses from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.evidence import (
    DONE,
    REFUSED,
    UNSURE,
    Document,
    Evidence,
    Post,
    Refusal,
    Send,
    Verb,
)
from tests.chaos.judge import FATAL, TOLD, judge

ONE = "6b0500000000000000000001"

ALL_WELL = dict.fromkeys([*FATAL, *TOLD], 0)


def a_post(**changes: Any) -> Post:
    post = Post(
        no=1,
        delivery="at_least_once",
        digest="what was asked",
        scheduled_at=None,
        asked_at=100.0,
        status=201,
        email_id=ONE,
        seconds=0.01,
    )
    return replace(post, **changes)


def a_send(at: float = 101.0, **changes: Any) -> Send:
    send = Send(
        provider="sendgrid",
        email_id=ONE,
        message_id=f"at {at}",
        digest="what was asked",
        at=at,
    )
    return replace(send, **changes)


def a_document(state: str = "sent", **changes: Any) -> Document:
    return replace(Document(email_id=ONE, state=state), **changes)


def a_verb(name: str, answer: str = DONE, *, at: float = 100.5, **more: Any) -> Verb:
    return Verb(
        name=name, email_id=ONE, asked_at=at, answered_at=at, answer=answer, **more
    )


HELD = a_document("unknown", is_held=True, unknown_attempts=1)

FAILED = a_document("failed")

CANCELLED = a_document("cancelled")

CAREFUL = a_post(delivery="at_most_once")


def of(*facts: Any, post: Post | None = None) -> Evidence:
    """Return evidence of one email from facts of any kind."""
    kinds: dict[type, list[Any]] = {}
    for fact in facts:
        kinds.setdefault(type(fact), []).append(fact)
    return Evidence(
        posts=tuple(kinds.get(Post, [post or a_post()])),
        verbs=tuple(kinds.get(Verb, ())),
        sends=tuple(kinds.get(Send, ())),
        refusals=tuple(kinds.get(Refusal, ())),
        documents=tuple(kinds.get(Document, ())),
    )


def figures(evidence: Evidence) -> dict[str, int]:
    """Return the figures that are not 0."""
    found = judge(evidence).figures
    return {name: count for name, count in found.items() if count}


def broken(evidence: Evidence) -> dict[str, int]:
    """Return the promises that are broken."""
    return {name: n for name, n in figures(evidence).items() if name in FATAL}


def test_an_email_that_was_sent_once_leaves_all_figures_at_0() -> None:
    verdict = judge(of(a_send(), a_document()))

    assert verdict.accepted == 1
    assert verdict.figures == ALL_WELL
    assert verdict.is_kept
    assert verdict.guilty == {}


def test_what_was_not_accepted_is_owed_to_nobody() -> None:
    for status in (503, "ConnectionResetError"):
        verdict = judge(of(post=a_post(status=status)))

        assert verdict.accepted == 0
        assert verdict.is_kept


@pytest.mark.parametrize(
    ("document", "more"),
    [
        (a_document("queued", is_open=True), ()),
        (a_document("unknown", is_open=True), ()),
        (HELD, ()),
        (FAILED, ()),
        (FAILED, (Refusal(email_id=ONE, status=429, at=101.0),)),
        (FAILED, (Refusal(email_id="another", status=400, at=101.0),)),
        (CANCELLED, ()),
        (CANCELLED, (a_verb("cancel", REFUSED),)),
    ],
    ids=[
        "still open",
        "still unknown",
        "held, though it may be sent twice",
        "failed without a refusal",
        "failed because it was throttled",
        "failed by a refusal of another",
        "cancelled by nobody",
        "cancelled though that was refused",
    ],
)
def test_lost_is_what_was_never_sent_and_has_no_excuse_from_outside(
    document: Document, more: tuple[Any, ...]
) -> None:
    verdict = judge(of(document, *more))

    assert verdict.figures["lost"] == 1
    assert verdict.guilty == {"lost": (ONE,)}
    assert not verdict.is_kept


@pytest.mark.parametrize(
    ("document", "more"),
    [
        (FAILED, (Refusal(email_id=ONE, status=400, at=101.0),)),
        (CANCELLED, (a_verb("cancel"),)),
        (CANCELLED, (a_verb("cancel", UNSURE),)),
        (CANCELLED, (a_verb("cancel_by_force"),)),
        (CANCELLED, (a_verb("cancel_by_force", UNSURE),)),
        (replace(HELD, unknown_attempts=4), ()),
    ],
    ids=[
        "refused for good",
        "cancelled",
        "perhaps cancelled",
        "cancelled by force",
        "perhaps cancelled by force",
        "held by the bound",
    ],
)
def test_not_lost_is_what_a_client_or_a_provider_has_ended(
    document: Document, more: tuple[Any, ...]
) -> None:
    assert broken(of(document, *more)) == {}


def test_one_that_must_not_go_twice_may_be_held_unsent_and_that_is_told() -> None:
    assert figures(of(HELD, post=CAREFUL)) == {
        "held": 1,
        "held_though_never_sent": 1,
        "unknown_attempts": 1,
    }
    assert broken(of(a_document("queued", is_open=True), post=CAREFUL)) == {"lost": 1}


def test_a_201_without_a_document_is_missing_and_lost_if_it_was_not_sent() -> None:
    assert broken(of()) == {"docs_missing": 1, "lost": 1}
    assert broken(of(a_send())) == {"docs_missing": 1}


def test_a_sent_that_no_provider_has_seen_is_false() -> None:
    assert broken(of(a_document())) == {"false_sent": 1, "lost": 1}
    assert broken(of(a_document(), a_verb("cancel", REFUSED))) == {
        "false_sent": 1,
        "lost": 1,
    }


def test_at_most_once_is_never_sent_twice_whatever_is_recorded() -> None:
    twice = (a_send(), a_send(102.0), a_document(possible_duplicates=1))

    assert broken(of(*twice, post=CAREFUL)) == {"at_most_once_twice": 1}
    assert broken(of(*twice)) == {}


@pytest.mark.parametrize("at", [100.2, 200.0], ids=["before", "after"])
def test_nothing_that_a_client_was_told_is_cancelled_is_sent(at: float) -> None:
    """Cancelling is refused unless it is sure that nothing is out."""
    evidence = of(a_send(at), a_verb("cancel", at=100.5), CANCELLED)

    assert broken(evidence) == {"sent_after_cancel_200": 1}


@pytest.mark.parametrize("answer", [REFUSED, UNSURE])
def test_a_cancel_that_was_not_done_forbids_nothing(answer: str) -> None:
    assert broken(of(a_send(), a_verb("cancel", answer), a_document())) == {}


def test_what_is_cancelled_by_force_may_be_out() -> None:
    evidence = of(a_send(), a_verb("cancel_by_force"), CANCELLED)

    assert figures(evidence) == {"cancelled_by_force": 1, "failed_though_sent": 1}


@pytest.mark.parametrize(
    ("verbs", "at", "is_early"),
    [
        ((), 109.9, True),
        ((), 110.0, False),
        ((a_verb("reschedule", to=105.0),), 106.0, False),
        ((a_verb("reschedule", to=105.0),), 104.0, True),
        ((a_verb("reschedule", to=120.0),), 111.0, True),
        ((a_verb("reschedule", to=120.0, at=112.0),), 111.0, True),
        ((a_verb("reschedule", REFUSED, to=105.0),), 106.0, True),
        ((a_verb("reschedule", UNSURE, to=105.0),), 106.0, False),
        ((a_verb("reschedule", UNSURE, to=105.0),), 104.0, True),
        ((a_verb("reschedule", UNSURE, to=105.0, at=107.0),), 106.0, True),
        (
            (
                a_verb("reschedule", UNSURE, to=105.0),
                a_verb("reschedule", to=120.0, at=101.0),
            ),
            106.0,
            True,
        ),
    ],
    ids=[
        "before its time",
        "at its time",
        "moved forward",
        "before its new time",
        "moved back",
        "moved back after it was sent",
        "not moved",
        "perhaps moved forward",
        "before either",
        "perhaps moved, but later",
        "moved back after all",
    ],
)
def test_nothing_leaves_before_the_time_that_its_client_was_told(
    verbs: tuple[Verb, ...], at: float, *, is_early: bool
) -> None:
    post = a_post(scheduled_at=110.0)

    found = broken(of(a_send(at), a_document(), *verbs, post=post))

    assert found == ({"sent_before_time": 1} if is_early else {})


def test_what_is_sent_is_what_was_asked() -> None:
    sends = (a_send(), a_send(102.0, digest="something else"))
    explained = a_document(possible_duplicates=1)

    assert broken(of(*sends, explained)) == {"wrong_content": 1}


def test_what_nobody_asked_for_is_wrong_whoever_it_names() -> None:
    stranger = a_send(digest="out of nowhere", email_id="another", message_id="m1")
    evidence = of(a_send(), a_document())

    verdict = judge(replace(evidence, sends=(*evidence.sends, stranger)))

    assert verdict.figures["wrong_content"] == 1
    assert verdict.guilty == {"wrong_content": ("another",)}


def test_what_was_asked_for_may_be_sent_though_its_client_was_told_nothing() -> None:
    """It may be stored when the answer is 503, or when none comes."""
    post = a_post(status=503, email_id=None)

    assert broken(of(a_send(), a_document(), post=post)) == {}


@pytest.mark.parametrize(
    ("sends", "recorded", "unexplained"),
    [(2, 0, 1), (2, 1, 0), (3, 1, 1), (3, 2, 0)],
)
def test_each_further_copy_must_have_been_recorded_as_possible(
    sends: int, recorded: int, unexplained: int
) -> None:
    copies = [a_send(101.0 + n) for n in range(sends)]

    found = figures(of(*copies, a_document(possible_duplicates=recorded)))

    assert found.get("unexplained_duplicates", 0) == unexplained
    assert found["extra_sends"] == sends - 1


def test_a_dead_letter_that_was_sent_is_told() -> None:
    assert figures(of(a_send(), FAILED)) == {"failed_though_sent": 1}


def test_what_the_faults_have_cost_is_counted() -> None:
    open_one = a_document("unknown", is_open=True, unknown_attempts=2)
    verbs = [
        a_verb("cancel", REFUSED),
        a_verb("reschedule", to=0.0),
        a_verb("redrive"),
        a_verb("cancel", "KeyError"),
    ]

    assert figures(of(open_one, *verbs, a_send())) == {
        "unknown_attempts": 2,
        "still_open": 1,
        "cancels_refused": 1,
        "moved": 1,
        "redriven": 1,
        "odd_answers": 1,
    }
