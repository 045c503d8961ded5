"""The whole service in one thread: services over twins, hints in order of time.

It stands for the actors: what a service hints at is delivered when its time comes,
the sweep runs every 5 s, and a crash drops the message in hand as a killed process
would. Nothing sleeps: the clock is moved from one hint to the next.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from postroom.adapters.chance import SeededChance
from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.adapters.memory_hints import MemoryHints
from postroom.domain.email import Email, Priority
from postroom.domain.errors import (
    HintError,
    PostroomError,
    StoreUnavailableError,
    UnbuildableError,
)
from postroom.domain.hint import (
    RECONCILE_QUEUE,
    Hint,
    send_queue,
)
from postroom.domain.outcome import Accepted, Outcome, Unknown
from postroom.domain.policy import Policy
from postroom.domain.ports import Built, EmailStore
from postroom.domain.routing import ProviderProfile
from postroom.services.accept import Accept
from postroom.services.accept_together import AcceptTogether
from postroom.services.attempt import Attempt
from postroom.services.cancel import Cancel
from postroom.services.health import Verdicts
from postroom.services.next_step import Again, Dead, NextStep
from postroom.services.offer import Offer, Swept
from postroom.services.reconcile import Reconcile
from postroom.services.redrive import Redrive
from postroom.services.release import Release
from postroom.services.reschedule import Reschedule
from postroom.services.route import Route
from postroom.services.settle import Settle
from tests.builders import ALPHA, BETA, NOW, a_new_email, a_profile, seconds
from tests.faulty_store import FaultyStore

#: As shipped. Tests of whole days make it a minute: `world.sweep_every = ...`.
SWEEP_EVERY = timedelta(seconds=5)


class Crash(BaseException):
    """The process that had the message in hand is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as a provider saw it."""

    email_id: str
    provider: str
    at: datetime
    outcome: Outcome | None
    recipients: tuple[int, ...]
    key: str | None = None


@dataclass
class ScriptedProvider:
    """Implements ``Provider``: ``answer`` says what comes of each call.

    Attributes:
        answer: Called with the email; may advance the clock, or raise.
        cannot_build: Emails of which it cannot make a request.
        calls: All calls, in order.
    """

    profile: ProviderProfile
    clock: FakeClock
    answer: Callable[[Email], Outcome]
    cannot_build: Callable[[Email], bool] = field(default=lambda _: False)
    calls: list[Call] = field(default_factory=list)

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        if self.cannot_build(email):
            raise UnbuildableError("no such header", field="headers")
        request = (email, tuple(recipients), key)
        return Built(provider=self.profile.name, request=request)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        email: Email
        email, recipients, key = built.request
        at, outcome = self.clock.now(), None
        try:
            outcome = self.answer(email)
        finally:
            call = Call(
                email_id=email.email_id,
                provider=self.profile.name,
                at=at,
                outcome=outcome,
                recipients=recipients,
                key=key,
            )
            self.calls.append(call)
        return outcome

    def answers(self, *outcomes: Outcome) -> None:
        """Answer these, one after the other; the last one from then on."""
        left = list(outcomes)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]


@dataclass(order=True, slots=True)
class Message:
    """One message in a queue."""

    due: datetime
    no: int
    queue: str = field(compare=False)
    what: Any = field(compare=False)
    unexpected: int = field(compare=False, default=0)


class Simulation:
    """Providers, processes and time under a test's control."""

    def __init__(
        self,
        *names: str,
        policy: Policy | None = None,
        store: EmailStore | None = None,
        profiles: Sequence[ProviderProfile] | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.clock = FakeClock(NOW)
        self.chance = SeededChance()
        self.store: Any = store or FaultyStore()
        self.hints = MemoryHints()
        self.queue: list[Message] = []
        self.dead: list[Message] = []
        self.given_up: list[Message] = []
        self.delivered = Counter[str]()
        self._at_one_instant = Counter[datetime]()
        self._no = itertools.count()
        self.sweep_every = SWEEP_EVERY
        self._next_sweep = NOW + SWEEP_EVERY
        self.sweeps = True
        made = profiles or [a_profile(name) for name in names or (ALPHA, BETA)]
        self.providers = {profile.name: self.a_provider(profile) for profile in made}
        self.configure(*self.providers)

    def configure(self, *names: str) -> None:
        """Start all processes anew with these providers; health is forgotten."""
        providers = {
            name: self.between("provider", self.providers[name]) for name in names
        }
        profiles = tuple(provider.profile for provider in providers.values())
        self.board = MemoryBreakerBoard(
            names,
            fail_max=5,
            reset=seconds(30),
            window=seconds(60),
            timeout=self.policy.timeout,
            clock=self.clock,
        )
        parts: dict[str, Any] = {
            "store": self.between("store", self.store),
            "hints": self.between("hints", self.hints),
            "clock": self.between("clock", self.clock),
            "policy": self.policy,
        }
        chance, board = self.chance, self.between("board", self.board)
        self.settle = Settle(**parts, chance=chance, board=board, profiles=profiles)
        self.attempt = Attempt(
            **parts,
            chance=chance,
            board=board,
            providers=providers,
            settle=self.settle,
            verdicts=Verdicts(board=board, hints=parts["hints"], policy=self.policy),
        )
        self.route = Route(**parts, board=board, profiles=profiles)
        self.offer = Offer(**parts, board=board, profiles=profiles)
        self.reconcile = Reconcile(**parts)
        self.release = Release(**parts, board=board, profiles=profiles)
        self.redrive = Redrive(**parts)
        self.cancel = Cancel(store=parts["store"], clock=parts["clock"])
        self.reschedule = Reschedule(**parts)
        self.accept = Accept(**parts, chance=chance, profiles=profiles)
        intake = {"intake": parts["store"]} | parts
        del intake["store"]
        self.accept_together = AcceptTogether(
            **intake, chance=chance, profiles=profiles
        )

    def a_provider(self, profile: ProviderProfile) -> Any:
        return ScriptedProvider(
            profile, self.clock, lambda _: Accepted(provider_message_id="m")
        )

    def between(self, name: str, port: Any) -> Any:
        """Return what the services get for a port: a subclass may stand between."""
        del name
        return port

    # What clients and time do.

    def post(self, count: int = 1, **given: Any) -> list[str]:
        """Accept some emails; return their ids."""
        ids = [self.accept(a_new_email(**given)).email_id for _ in range(count)]
        self.take_hints()
        return ids

    def run(self, duration: timedelta = timedelta(hours=1)) -> None:
        """Deliver and sweep for so long."""
        end = self.clock.now() + duration
        while True:
            due = self.queue[0].due if self.queue and not self.hints.away else None
            if self.sweeps and (due is None or self._next_sweep <= due):
                due = self._next_sweep
            if due is None or due > end:
                break
            self._wait_until(due)
            if self.sweeps and due == self._next_sweep:
                self._next_sweep += self.sweep_every
                self.sweep()
            else:
                self.deliver(heapq.heappop(self.queue))
        self._wait_until(end)

    def step(self) -> None:
        """Deliver the next message, whenever it is due; no sweep comes in between."""
        message = heapq.heappop(self.queue)
        self._wait_until(message.due)
        self.deliver(message)

    def flush(self) -> None:
        """Forget all messages: FLUSHALL."""
        self.queue.clear()
        self.hints.forgotten = True

    def sweep(self) -> Swept | None:
        """Sweep once, as its thread would: an outage ends it and nothing else."""
        try:
            return self.offer()
        except (HintError, StoreUnavailableError):
            return None
        finally:
            self.take_hints()

    # What can be seen.

    def email(self, email_id: str) -> Email:
        email: Email | None = self.store.load(email_id)
        assert email is not None
        return email

    @property
    def calls(self) -> list[Call]:
        """All calls to all providers, in order of time."""
        calls = [call for p in self.providers.values() for call in p.calls]
        return sorted(calls, key=lambda call: call.at)

    def copies(self) -> dict[str, int]:
        """How often each email was accepted by a provider."""
        copies: dict[str, int] = defaultdict(int)
        for call in self.calls:
            copies[call.email_id] += isinstance(call.outcome, Accepted)
        return copies

    def most_copies(self, email_id: str) -> int:
        """Return how many copies are out at worst, where keys are honoured."""
        out = {
            (call.provider, call.key or number)
            for number, call in enumerate(self.calls)
            if call.email_id == email_id
            and (call.outcome is None or isinstance(call.outcome, Accepted | Unknown))
        }
        return len(out)

    def pending(self, queue: str) -> list[Message]:
        return sorted(m for m in self.queue if m.queue == queue)

    # How it works.

    def deliver(self, message: Message) -> None:
        """Hand a message to its actor."""
        self.delivered[message.queue] += 1
        self._at_one_instant[self.clock.now()] += 1
        assert self._at_one_instant[self.clock.now()] < 10_000, "a loop that runs hot"
        try:
            step = self._perform(message)
        except Crash:
            return
        except PostroomError:
            self._once_more(message)
        else:
            self._follow(step, message)
        finally:
            self.take_hints()

    def take_hints(self) -> None:
        """Put what was hinted at into the queue."""
        for hinted in self.hints.hinted:
            self._enqueue(hinted.queue, hinted.what, hinted.delay)
        self.hints.hinted.clear()

    def _perform(self, message: Message) -> NextStep | None:
        what = message.what
        if isinstance(what, Hint):
            what = Hint.from_message(what.to_message())  # as over the wire
        if message.queue.partition(".")[0] == "router":
            return self.route(what)
        if message.queue == RECONCILE_QUEUE:
            return self.reconcile(what)
        if message.queue == "release":
            self.release(what)
            return None
        for name in self.attempt.providers:
            if message.queue in {send_queue(name, each) for each in Priority}:
                return self.attempt(name, what)
        return None  # nobody serves a removed provider's queue

    def _follow(self, step: NextStep | None, message: Message) -> None:
        match step:
            case Again():
                self._enqueue(message.queue, message.what, step.delay)
            case Dead():
                self.dead.append(message)
            case _:
                pass

    def _once_more(self, message: Message) -> None:
        message.unexpected += 1
        if message.unexpected > 3:
            self.given_up.append(message)
            return
        message.due = self.clock.now() + self.policy.retry_first
        heapq.heappush(self.queue, message)

    def _enqueue(self, queue: str, what: Any, delay: timedelta) -> None:
        message = Message(self.clock.now() + delay, next(self._no), queue, what)
        heapq.heappush(self.queue, message)

    def _wait_until(self, instant: datetime) -> None:
        if instant > self.clock.now():
            self.clock.advance(instant - self.clock.now())
