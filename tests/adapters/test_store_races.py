"""Writes to one email from several threads at once, in both stores."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from postroom.domain import interventions, lifecycle
from postroom.domain.change import Change
from postroom.domain.email import Email, State
from postroom.domain.outcome import Outcome
from postroom.domain.ports import EmailStore
from postroom.domain.settling import record
from tests.adapters.breakers.parts import at_once
from tests.adapters.stored import THREADS, a_claim, an_offer, inserted, loaded
from tests.builders import (
    ACCEPTED,
    ID,
    NOW,
    POLICY,
    REFUSED_FOR_NOW,
    UNSURE_REFUSAL,
    a_parked_email,
    a_result,
    an_attempt,
    an_email,
    at,
    seconds,
)


class TestRaces:
    """Each write from several threads at once: exactly one wins."""

    @pytest.mark.parametrize("repeat", range(5))
    def test_one_of_equal_claims_wins(self, store: EmailStore, repeat: int) -> None:
        email = inserted(store, an_email())
        claims = [a_claim(email, f"attempt-of-{no}") for no in range(THREADS)]

        won = at_once(*[lambda c=claim: store.apply(c) for claim in claims])

        assert sorted(won) == [False] * (THREADS - 1) + [True]
        (attempt,) = loaded(store).attempts
        assert attempt.id.startswith("attempt-of-")
        assert loaded(store).fence == email.fence + 1

    @pytest.mark.parametrize("repeat", range(5))
    def test_one_of_equal_offers_wins(self, store: EmailStore, repeat: int) -> None:
        change = an_offer(inserted(store, an_email(due_at=NOW)))

        won = at_once(*[lambda: store.apply(change)] * THREADS)

        assert won.count(True) == 1
        assert loaded(store).offers == 1

    @pytest.mark.parametrize("repeat", range(5))
    def test_a_record_and_a_lapse_do_not_both_win(
        self, store: EmailStore, repeat: int
    ) -> None:
        email = inserted(store, an_email(State.SENDING))
        sent = record(email, a_result(ACCEPTED), now=NOW, policy=POLICY)
        assert sent is not None
        lapsed = lifecycle.unknown(email, now=NOW, until=at(1))

        won = at_once(lambda: store.apply(sent), lambda: store.apply(lapsed))

        assert sorted(won) == [False, True]

    @pytest.mark.parametrize("repeat", range(5))
    def test_an_offer_does_not_keep_a_claim_out(
        self, store: EmailStore, repeat: int
    ) -> None:
        email = inserted(store, an_email(due_at=NOW))
        claim, offer = a_claim(email), an_offer(email)

        at_once(lambda: store.apply(claim), lambda: store.apply(offer))

        assert store.load(ID) == claim.after


def a_record(email: Email, outcome: Outcome) -> Change:
    change = record(email, a_result(outcome), now=NOW, policy=POLICY)
    assert change is not None
    return change


def a_cancel(email: Email) -> Change:
    return interventions.cancelled(email, now=NOW, force=True)


#: Two different writes to one email, of which the store may take only one.
RIVALS: dict[
    str, tuple[Email, Callable[[Email], Change], Callable[[Email], Change]]
] = {
    "claim-cancel": (an_email(), a_claim, a_cancel),
    "claim-expiry": (
        an_email(),
        a_claim,
        lambda e: lifecycle.failed(e, reason="expired", now=NOW),
    ),
    "cancel-reschedule": (
        an_email(State.SCHEDULED, not_before=at(60)),
        a_cancel,
        lambda e: interventions.rescheduled(e, to=at(90), now=NOW, policy=POLICY),
    ),
    "redrive-late-acceptance": (
        an_email(State.FAILED, attempts=(an_attempt(UNSURE_REFUSAL),)),
        lambda e: interventions.redriven(e, now=NOW, policy=POLICY),
        lambda e: a_record(e, ACCEPTED),
    ),
    "cancel-late-acceptance": (
        an_email(State.UNKNOWN),
        a_cancel,
        lambda e: a_record(e, ACCEPTED),
    ),
    "two-settles": (
        an_email(State.SENDING),
        lambda e: a_record(e, ACCEPTED),
        lambda e: a_record(e, REFUSED_FOR_NOW),
    ),
    "mark-late-acceptance": (
        an_email(State.UNKNOWN),
        lambda e: interventions.marked_sent(e, now=NOW),
        lambda e: a_record(e, ACCEPTED),
    ),
    "release-claim": (
        a_parked_email(not_before=NOW),
        lambda e: lifecycle.queued(e, now=NOW, wait=seconds(1), policy=POLICY),
        a_claim,
    ),
}


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("repeat", range(3))
def test_one_of_two_rivals_wins_and_is_written_whole(
    store: EmailStore, name: str, repeat: int
) -> None:
    email, *makers = RIVALS[name]
    inserted(store, email)
    changes = [make(email) for make in makers]

    won = at_once(*[lambda c=change: (store.apply(c), c) for change in changes])

    (winner,) = (change for is_written, change in won if is_written)
    assert loaded(store) == winner.after


@pytest.mark.parametrize("repeat", range(3))
def test_making_all_due_keeps_no_claim_out(store: EmailStore, repeat: int) -> None:
    claim = a_claim(inserted(store, an_email()))

    at_once(lambda: store.apply(claim), lambda: store.hasten(NOW, before=at(60)))

    assert loaded(store) == claim.after


def test_whoever_reads_meanwhile_sees_whole_writes(store: EmailStore) -> None:
    email = inserted(store, an_email(due_at=NOW))
    versions = [email]
    for _ in range(20):
        versions.append(lifecycle.corrected(versions[-1], now=NOW).after)
    steps = [lifecycle.corrected(version, now=NOW) for version in versions[:-1]]

    def write() -> list[Email]:
        assert all(store.apply(step) for step in steps)
        return []

    def read() -> list[Email]:
        found = [email for _ in range(20) for email in store.due(NOW, limit=9)]
        return [*found, *[loaded(store) for _ in range(20)]]

    seen = [email for part in at_once(write, read, read) for email in part]

    bare = {replace(version, content=None).fence: version for version in versions}
    assert all(replace(bare[e.fence], content=e.content) == e for e in seen)
