"""Any life of an email, in any order of crashes, repeats and late results."""

from collections.abc import Callable
from datetime import datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from postroom.domain import lifecycle
from postroom.domain.change import Change
from postroom.domain.email import CLAIMABLE, Delivery, Email, State
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.outcome import OutcomeWord
from postroom.domain.policy import Policy
from postroom.domain.settling import lapse, record
from postroom.domain.times import is_expired
from tests.builders import ALPHA, BETA, NOW, OUTCOMES, a_result, an_email, seconds

POLICY = Policy(max_unknown=2)

#: How many writes ago a worker read the email.
BACK = st.integers(0, 3)


class Life(RuleBasedStateMachine):
    """One email and workers that lose, repeat and delay what they know."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.email: Email = an_email(not_before=NOW)
        self.read: list[Email] = [self.email]

    @rule(
        delivery=st.sampled_from(Delivery),
        state=st.sampled_from([State.QUEUED, State.SCHEDULED]),
    )
    @precondition(lambda self: not self.email.attempts and self.email.fence == 0)
    def begin(self, delivery: Delivery, state: State) -> None:
        self.email = an_email(state, not_before=NOW, delivery=delivery)
        self.read = [self.email]

    @rule(step_s=st.sampled_from([1, 10, 60, 600, 90_000]))
    def time_passes(self, step_s: int) -> None:
        self.now += seconds(step_s)

    @rule(provider=st.sampled_from([ALPHA, BETA]), back=BACK)
    def claim(self, provider: str, back: int) -> None:
        self._write(
            lambda email: lifecycle.claim(
                email,
                provider=provider,
                attempt_id=f"attempt-{len(email.attempts) + 1}-{email.fence}",
                now=self.now,
                policy=POLICY,
            ),
            back,
        )

    @rule(
        name=st.sampled_from(sorted(OUTCOMES)),
        which=st.integers(0, 20),
        others=st.sampled_from([(), (ALPHA,), (BETA,)]),
        back=BACK,
    )
    @precondition(lambda self: self.email.attempts)
    def a_result_comes(
        self, name: str, which: int, others: tuple[str, ...], back: int
    ) -> None:
        attempts = self.email.attempts
        result = a_result(
            OUTCOMES[name],
            attempt_id=attempts[which % len(attempts)].id,
            others=others,
        )
        self._write(
            lambda email: record(email, result, now=self.now, policy=POLICY), back
        )

    @rule(back=BACK)
    def reconcile(self, back: int) -> None:
        self._write(lambda email: lapse(email, now=self.now, policy=POLICY), back)

    @rule(back=BACK)
    def offer(self, back: int) -> None:
        self._write(
            lambda email: (
                lifecycle.offered(email, now=self.now, policy=POLICY)
                if email.due_at is not None and email.due_at <= self.now
                else None
            ),
            back,
        )

    @rule(is_probe=st.booleans(), back=BACK)
    def park(self, is_probe: bool, back: int) -> None:
        self._write(
            lambda email: lifecycle.park(
                email,
                until=self.now + seconds(30),
                providers=(ALPHA,),
                is_probe=is_probe,
                now=self.now,
                policy=POLICY,
            ),
            back,
        )

    @rule(back=BACK)
    def expire(self, back: int) -> None:
        self._write(
            lambda email: (
                lifecycle.failed(email, reason="expired", now=self.now)
                if is_expired(email, now=self.now, policy=POLICY)
                else None
            ),
            back,
        )

    def _write(self, make: Callable[[Email], Change | None], back: int) -> None:
        """Write as a store would, from what some worker once read."""
        try:
            change = make(self.read[-1 - back % len(self.read)])
        except ForbiddenTransitionError:
            return
        if change is None or not change.guard.admits(self.email):
            return
        self._check(change)
        self.email = change.after
        self.read = [*self.read[-3:], self.email]

    def _check(self, change: Change) -> None:
        before, after = self.email, change.after
        is_offer = after.fence == before.fence
        assert is_offer or after.fence == before.fence + 1
        if is_offer:
            assert after.state is before.state
            assert after.offers == before.offers + 1
        assert len(after.attempts) >= len(before.attempts)
        assert (
            after.state is before.state or after.state in lifecycle.EDGES[before.state]
        )
        if before.state in lifecycle.FINAL_STATES:
            assert after.state in {before.state, State.SENT}
        if len(after.attempts) > len(before.attempts):
            self._check_claim(before, after)

    def _check_claim(self, before: Email, after: Email) -> None:
        may_be_out = tuple(a.id for a in before.attempts if a.may_be_out)
        if may_be_out:
            assert before.delivery is Delivery.AT_LEAST_ONCE
            assert after.possible_duplicates[-1].earlier == may_be_out
        unknowns = [a for a in before.attempts if a.outcome is OutcomeWord.UNKNOWN]
        assert len(unknowns) <= POLICY.max_unknown
        assert before.state in CLAIMABLE
        assert not any(a.outcome is OutcomeWord.ACCEPTED for a in before.attempts)

    @invariant()
    def an_open_email_is_looked_at_again(self) -> None:
        is_open = not (self.email.is_final or self.email.is_held)
        assert (self.email.due_at is not None) is is_open

    @invariant()
    def what_was_accepted_is_sent_or_becomes_it(self) -> None:
        if any(a.outcome is OutcomeWord.ACCEPTED for a in self.email.attempts):
            assert self.email.state in {State.SENT, State.SENDING}

    @invariant()
    def an_email_in_hand_has_an_attempt_without_an_end(self) -> None:
        if self.email.state is State.SENDING:
            assert self.email.attempts[-1].ended_at is None


Life.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None
)
TestAnyLife = Life.TestCase
