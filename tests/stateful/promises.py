"""What must hold after every step, by the providers' journal and the history."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import combinations, pairwise

from postroom.domain.attempts import maybe_out, unknowns
from postroom.domain.email import (
    FINAL_STATES,
    Attempt,
    Delivery,
    Email,
    RecipientState,
    State,
)
from postroom.domain.idempotency import KEEP_KEY
from postroom.domain.lifecycle import EDGES
from tests.stateful.journal import Call
from tests.stateful.story import told
from tests.stateful.world import World, Written


class Promises:
    """Looks at what is new in a world, and at every email in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.history: dict[str, list[Written]] = defaultdict(list)
        #: How often its email had been redriven when an attempt was claimed.
        self.redrives: dict[str, int] = {}
        self._read = 0
        self._heard = 0

    def check(self) -> None:
        """Assert all that must always hold."""
        try:
            self._check()
        except AssertionError as ex:
            ex.add_note(told(self.world))
            raise

    def _check(self) -> None:
        touched = self._read_on()
        emails = {email.email_id: email for email in self.world.store.all()}
        missing = self.world.accepted - emails.keys()
        assert not missing, f"accepted, and not in the store: {missing}"
        there = {e.content.subject for e in emails.values() if e.content}
        assert not there & self.world.refused, "refused, and in the store"
        self._check_requests()
        for email in emails.values():
            self._check_email(email)
        for email_id in touched:
            self._check_sends(emails[email_id])

    def has(self, email_id: str, label: str) -> bool:
        """Whether a write of that name went into an email."""
        return any(written.by == label for written in self.history[email_id])

    def count(self, email_id: str, label: str) -> int:
        return sum(written.by == label for written in self.history[email_id])

    def _read_on(self) -> list[str]:
        """Check what is new of history and journal; return whom it is about."""
        writes = self.world.store.written[self._read :]
        calls = self.world.journal.calls[self._heard :]
        self._read += len(writes)
        self._heard += len(calls)
        for written in writes:
            self._check_write(written)
            self.history[written.change.email_id].append(written)
        for call in calls:
            self._check_call(call)
        touched = [w.change.email_id for w in writes] + [c.email_id for c in calls]
        for email_id in dict.fromkeys(touched):
            _check_fences(self.history[email_id])
        return list(dict.fromkeys(touched))

    def _check_requests(self) -> None:
        """What was asked for under a key is there once, and all of it together."""
        there: dict[str, list[datetime]] = defaultdict(list)
        for email_id, at in self.world.store.came_in.items():
            there[self.world.store.subjects[email_id]].append(at)
        for items in self.world.requests.values():
            times = [sorted(there[new.content.subject]) for new in items]
            assert all(one == times[0] for one in times), "a part of a request"
            for earlier, later in pairwise(times[0]):
                assert later >= earlier + KEEP_KEY, "one request, accepted twice"

    # One write.

    def _check_write(self, written: Written) -> None:
        before, after = written.change.before, written.change.after
        is_offer = after.fence == before.fence
        assert is_offer or after.fence == before.fence + 1
        assert after.state is before.state or after.state in EDGES[before.state]
        assert len(after.attempts) >= len(before.attempts)
        if before.state in FINAL_STATES and after.state is not before.state:
            _check_revival(written)
        if len(after.attempts) > len(before.attempts):
            self._check_claim(written)
            self.redrives[after.attempts[-1].id] = before.redrives
        if after.is_held and not before.is_held:
            self._check_hold(after)

    def _check_hold(self, email: Email) -> None:
        assert maybe_out(email), "held, and nothing of it can be out"
        if email.delivery is Delivery.AT_LEAST_ONCE:
            assert unknowns(email) > self.world.policy.max_unknown, "held too soon"

    def _check_claim(self, written: Written) -> None:
        before = written.change.before
        attempt = written.change.after.attempts[-1]
        assert before.not_before is not None
        assert before.not_before <= written.at, "claimed before its time"
        assert before.provider in {None, attempt.provider}, "not where it is pinned to"
        live = [a for a in before.attempts if self._is_live(a, written.at)]
        assert not live, "claimed out of another's hand"
        keys = {(a.provider, a.key) for a in before.attempts if a.key is not None}
        if (attempt.provider, attempt.key) not in keys:
            assert unknowns(before) <= self.world.policy.max_unknown, "once too often"

    # One call.

    def _check_call(self, call: Call) -> None:
        email = self.world.store.load(call.email_id)
        assert email is not None, "sent, and not in the store"
        attempt = email.attempt(call.attempt_id or "")
        assert attempt is not None, "called without a claim"
        assert attempt.provider == call.provider
        assert attempt.recipients == call.recipients
        assert attempt.key == call.key
        assert email.scheduled_at is None or call.at >= email.scheduled_at, "too early"
        assert call.email.content is not None
        new = self.world.posted[call.email.content.subject]
        assert call.email.content == new.content, "another content"
        sent_to = [call.email.recipients[i].addr_spec for i in call.recipients]
        asked_for = [new.recipients[i].addr_spec for i in call.recipients]
        assert sent_to == asked_for, "other recipients"

    # One email, as it stands.

    def _check_email(self, email: Email) -> None:
        is_open = not (email.is_final or email.is_held)
        assert (email.due_at is not None) is is_open, "open, and never looked at again"
        now = self.world.clock.now()
        live = [attempt for attempt in email.attempts if self._is_live(attempt, now)]
        assert len(live) <= 1, "in two hands"
        if email.state is State.SENDING:
            assert email.attempts[-1].ended_at is None
        if _acceptances(email) and (email.is_final or not email.pending):
            is_sent = email.state in {State.SENT, State.SENDING}
            assert is_sent, "accepted, and somebody does not believe it"

        if self.has(email.email_id, "erase"):
            self._check_erased(email)

    def _check_erased(self, email: Email) -> None:
        """What was erased on demand is gone for good, whatever comes later."""
        assert email.is_final, "erased, and open"
        assert email.content, "erased, and its sender too"
        subject, text = email.content.subject, email.content.text
        named = [recipient.addr_spec for recipient in email.recipients]
        words = [attempt.detail for attempt in email.attempts]
        assert not any([subject, text, *named, *words]), "erased, and there again"

    def _is_live(self, attempt: Attempt, now: datetime) -> bool:
        ends = attempt.started_at + self.world.policy.lease
        return attempt.ended_at is None and now < ends

    # All sends of one email.

    def _check_sends(self, email: Email) -> None:
        sends = self._sends(email)
        for pair in combinations(sends, 2):
            if set(pair[0].reached) & set(pair[1].reached):
                self._check_pair(email, pair)
        if self.world.cancelled.get(email.email_id) is False:
            assert not sends, "sent, and cancelled"
        self._check_once(email, sends)
        self._check_confirmed(email)
        self._check_sent(email, sends)

    def _sends(self, email: Email) -> list[Call]:
        """Return the calls that sent the email, but for those that nobody can prevent.

        That is a repetition by a process that stood still, between its claim and its
        call, until the provider had forgotten the key.
        """
        return [
            call
            for call in self.world.journal.sends(email.email_id)
            if not (call.was_sent_before and self._left_late(email, call))
        ]

    def _left_late(self, email: Email, call: Call) -> bool:
        attempt = email.attempt(call.attempt_id or "")
        lease = self.world.policy.lease
        return attempt is not None and call.at > attempt.started_at + lease

    def _check_pair(self, email: Email, sends: tuple[Call, Call]) -> None:
        """A second copy was known to be possible before it was sent."""
        first, second = self._in_order(email, sends)
        entries = {d.attempt_id: d.earlier for d in email.possible_duplicates}
        assert first.id in entries.get(second.id, ()), "a copy that nobody foresaw"
        if first.provider == second.provider and first.key_until is not None:
            is_over = second.started_at > first.key_until
            assert (
                is_over
                or first.recipients != second.recipients
                or self._redrives(first) != self._redrives(second)
            ), "a key that lived was not used again"

    def _in_order(
        self, email: Email, sends: tuple[Call, Call]
    ) -> tuple[Attempt, Attempt]:
        """Return the attempts of two sends, in the order of their claims."""
        found = [email.attempt(call.attempt_id or "") for call in sends]
        first, second = sorted((a for a in found if a), key=lambda a: a.no)
        return first, second

    def _redrives(self, attempt: Attempt) -> int:
        """Return how often the email had been redriven when it was claimed."""
        return self.redrives[attempt.id]

    def _check_once(self, email: Email, sends: list[Call]) -> None:
        if email.delivery is not Delivery.AT_MOST_ONCE:
            return
        forced = self.count(email.email_id, "redrive by force")
        for index in range(len(email.recipients)):
            copies = sum(index in call.reached for call in sends)
            assert copies <= 1 + forced, "sent twice, and it must not be"
        assert forced or not email.possible_duplicates, "risked, and it must not be"

    def _check_confirmed(self, email: Email) -> None:
        """What is said to be a copy is one, as far as providers have told."""
        calls = {call.attempt_id: call for call in self.world.journal.calls}
        for entry in email.confirmed_duplicates:
            second = calls[entry.attempt_id]
            firsts = [calls[attempt_id] for attempt_id in entry.earlier]
            assert all(first.send != second.send for first in firsts), "not two emails"
            got_twice = [set(first.reached) & set(second.reached) for first in firsts]
            is_marked = self.has(email.email_id, "mark")
            assert all(got_twice) or is_marked, "confirmed, and nobody got a copy"

    def _check_sent(self, email: Email, sends: list[Call]) -> None:
        if self.has(email.email_id, "mark"):
            return
        reached = {index for call in sends for index in call.reached}
        claimed = {
            index
            for index, recipient in enumerate(email.recipients)
            if recipient.state is RecipientState.ACCEPTED
        }
        assert claimed <= reached, "said to be sent, and is not"
        assert email.state is not State.SENT or claimed, "sent to nobody"

    # When all is quiet.

    def check_the_end(self) -> None:
        """Assert what must have become of every email once nothing goes wrong."""
        self.check()
        for email in self.world.store.all():
            assert email.is_final or email.is_held, f"stuck: {email}"
            assert not email.is_held or maybe_out(email), "held, and nothing is out"
            if email.state is State.SENT:
                self._check_reached(email)

    def _check_reached(self, email: Email) -> None:
        """Each recipient has it, was refused, or is believed to have it."""
        assert not email.pending
        is_told = email.dead_at is not None or email.erased_at is not None
        assert is_told or all(
            r.state is RecipientState.ACCEPTED for r in email.recipients
        ), "sent to some only, and no dead letter for the others"


def _check_revival(written: Written) -> None:
    """A final email changes by a redrive or by a late acceptance, and no other way."""
    before, after = written.change.before, written.change.after
    if after.state is State.QUEUED:
        assert written.by.startswith("redrive"), written.by
        return
    assert after.state is State.SENT
    if written.by != "mark":
        count = _acceptances(after) - _acceptances(before)
        assert count == 1, "sent, and no acceptance came"


def _acceptances(email: Email) -> int:
    return sum(attempt.outcome == "accepted" for attempt in email.attempts)


def _check_fences(history: list[Written]) -> None:
    """No write was made from a state that another had moved on."""
    moves = [w.change for w in history if w.change.after.fence != w.change.before.fence]
    moves.sort(key=lambda change: change.after.fence)
    for earlier, later in pairwise(moves):
        assert later.before.fence == earlier.after.fence, "written over"
        assert later.before.state is earlier.after.state
        assert later.before.attempts == earlier.after.attempts
