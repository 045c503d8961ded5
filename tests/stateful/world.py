"""The services over twins whose every call may go wrong, and a history of it all."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_erasure import MemoryErasure
from postroom.domain.acceptance import NewEmail
from postroom.domain.change import Change
from postroom.domain.email import Email
from postroom.domain.errors import PostroomError
from postroom.domain.hint import Hint
from postroom.domain.idempotency import Receipt
from postroom.domain.policy import Policy
from postroom.domain.routing import ProviderProfile
from postroom.services.erase import Erase
from postroom.services.mark_sent import MarkSent
from postroom.services.replay import Replay
from postroom.services.retain import Retain
from tests.builders import seconds
from tests.simulation import Crash, Message, Simulation
from tests.stateful.journal import Journal, JudgedProvider
from tests.stateful.processes import PATIENCE_S, Fault, Port, Process, current

#: So many may stand still at once.
MOST_STALLED = 4

#: So many faults may wait for their call.
MOST_FAULTS = 3

#: More than any email needs to come to its end.
MOST_ROUNDS = 500
MOST_MESSAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One write as the store took it."""

    change: Change
    at: datetime
    by: str


class WatchedStore(MemoryErasure):
    """The twin of the store, which writes down what was written to it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.written: list[Written] = []
        #: When emails came in that were asked for under keys.
        self.came_in: dict[str, datetime] = {}
        #: As they came in: of an email that is erased the store no longer tells it.
        self.subjects: dict[str, str] = {}
        self._first: dict[tuple[str, int, int], Written] = {}
        self._now = now

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        process = current()
        is_claim = len(change.after.attempts) > len(change.before.attempts)
        if process and is_claim:
            process.attempt_id = change.after.attempts[-1].id
        is_written = super().apply(change, patience=patience)
        if is_written:
            self._note(change)
        return is_written

    def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
        kept = super().insert_together(emails, receipt)
        if kept is receipt:
            for email in emails:
                self.came_in.setdefault(email.email_id, self._now())
                self.subjects.setdefault(email.email_id, email.content.subject)
        return kept

    def _erase(self, change: Change) -> bool:
        is_written = super()._erase(change)
        if is_written:
            self._note(change)
        return is_written

    def erase_whole(self, change: Change) -> bool:
        is_written = super().erase_whole(change)
        if is_written:
            self._note(change)
        return is_written

    def _note(self, change: Change) -> None:
        """Write a change down, if it is not one that was written before.

        A store knows a repeated write for one's own, and two processes may come to the
        very same one.
        """
        entry = Written(change=change, at=self._now(), by=_whose())
        place = (change.email_id, change.after.fence, change.after.offers)
        first = self._first.setdefault(place, entry)
        if first is entry or not _is_same(first.change, change):
            self.written.append(entry)


def _whose() -> str:
    process = current()
    return process.label if process else "nobody"


def _is_same(one: Change, other: Change) -> bool:
    return replace(one.after, content=None) == replace(other.after, content=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work, and what the world makes of how it ended.

    Attributes:
        done: Gets its result.
        failed: Gets what it raised; an error of ours is an answer, not a fault.
        died: The process that did it is gone.
    """

    label: str
    work: Callable[[], Any]
    done: Callable[[Any], None] = lambda _: None
    failed: Callable[[PostroomError], None] = lambda _: None
    died: Callable[[], None] = lambda: None


class World(Simulation):
    """Clients, processes, providers and time, one step at a time.

    Attributes:
        posted: What clients asked for, by the subject, which names it.
        requests: What they ask for under keys, and repeat, by the key.
        told: The last answer to each of these.
        accepted: Ids of what they were told to be accepted.
        refused: Subjects of what they were told not to be.
        cancelled: Ids of what they were told to be cancelled, and if by force.
        faults: What is to befall those who make certain calls next.
        stalled: Processes that stand still.
    """

    def __init__(self, profiles: Sequence[ProviderProfile], *, policy: Policy) -> None:
        self.journal = Journal()
        self.posted: dict[str, NewEmail] = {}
        self.requests: dict[str, list[NewEmail]] = {}
        self.told: dict[str, Receipt] = {}
        self.accepted: set[str] = set()
        self.refused: set[str] = set()
        self.cancelled: dict[str, bool] = {}
        self.faults: list[Fault] = []
        self.stalled: list[tuple[Process, Job]] = []
        self.away_until: dict[str, datetime] = {}
        store = WatchedStore(lambda: self.clock.now())  # noqa: PLW0108 - the clock comes later
        super().__init__(store=store, profiles=profiles, policy=policy)

    def configure(self, *names: str) -> None:
        """Start all processes anew with these providers.

        Those that stand still are of before, as in a deployment step by step.
        """
        super().configure(*names)
        self.names = names
        store, clock = self.between("store", self.store), self.offer.clock
        self.mark_sent = MarkSent(store=store, clock=clock)
        archive = self.between("store", MemoryArchive(self.store))
        hints = self.redrive.hints
        self.replay = Replay(archive=archive, hints=hints, redrive=self.redrive)
        self.retain = Retain(retention=store, clock=clock, policy=self.policy)
        self.erase = Erase(store=store, erasure=store, clock=clock, policy=self.policy)

    def a_provider(self, profile: ProviderProfile) -> JudgedProvider:
        return JudgedProvider(profile, self.clock, self.journal)

    def between(self, name: str, port: Any) -> Port:
        return Port(name, port)

    # Doing work.

    def befall(self, fault: Fault) -> None:
        """Let the next process that makes a certain call suffer this."""
        self.faults.append(fault)
        del self.faults[:-MOST_FAULTS]

    def do(self, job: Job) -> None:
        """Do a job, in a process of its own that may come to grief."""
        process = self._process(job, may_stall=len(self.stalled) < MOST_STALLED)
        process.run()
        self._look_after(process, job)

    def do_at_once(self, *jobs: Job) -> None:
        """Do jobs from threads of their own, all at the same moment.

        The interpreter changes threads as often as it can, so that they do meet.
        """
        processes = [self._process(job, may_stall=False) for job in jobs]
        barrier = Barrier(len(jobs))

        def run(process: Process) -> None:
            barrier.wait(PATIENCE_S)
            process.work()

        threads = [Thread(target=run, args=(p,), daemon=True) for p in processes]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE_S)
        finally:
            sys.setswitchinterval(interval)
        for process, job in zip(processes, jobs, strict=True):
            assert process.is_done, f"{job.label} hangs"
            self._look_after(process, job)

    def resume(self, which: int, *, dies: bool = False) -> None:
        """Let one of those that stand still go on, or let it die there."""
        if self.stalled:
            process, job = self.stalled.pop(which % len(self.stalled))
            process.resume(dies=dies)
            self._look_after(process, job)

    def _process(self, job: Job, *, may_stall: bool) -> Process:
        return Process(
            job.label,
            job.work,
            self.faults,
            is_away=self.is_away,
            may_stall=may_stall,
        )

    def goes_away(self, port: str, duration: timedelta) -> None:
        self.away_until[port] = self.clock.now() + duration

    def is_away(self, port: str) -> bool:
        if port not in self.away_until or self.clock.now() >= self.away_until[port]:
            return False
        if port == "hints":
            self.hints.forgotten = True
        return True

    def _look_after(self, process: Process, job: Job) -> None:
        self.take_hints()
        if not process.is_done:
            self.stalled.append((process, job))
            return
        match process.error:
            case None:
                job.done(process.result)
            case Crash():
                job.died()
            case PostroomError() as ex:
                job.failed(ex)
            case _:
                raise process.error

    # Messages.

    def take(self, which: int, *, stays: bool = False) -> Message | None:
        """Take one of the messages, or a copy of it, whenever it is due."""
        if not self.queue or self.is_away("hints"):
            return None
        message = sorted(self.queue)[which % len(self.queue)]
        if stays:
            return replace(message, no=next(self._no))
        self.queue.remove(message)
        heapq.heapify(self.queue)
        return message

    def copy_of(self, email_id: str) -> Message | None:
        """Return a copy of a message about an email, if there is one."""
        for message in sorted(self.queue):
            if isinstance(message.what, Hint) and message.what.email_id == email_id:
                return replace(message, no=next(self._no))
        return None

    def take_next(self, *, waits: bool = False) -> Message | None:
        """Take the first message, if its time has come or is waited for."""
        if waits and self.queue:
            self._wait_until(self.queue[0].due)
        is_due = self.queue and self.queue[0].due <= self.clock.now()
        return (
            heapq.heappop(self.queue) if is_due and not self.is_away("hints") else None
        )

    def go_on(self, *, waits: bool = False) -> None:
        """Deliver the next message, if there is one."""
        message = self.take_next(waits=waits)
        if message is not None:
            self.do(self.a_delivery(message))

    def a_delivery(self, message: Message, *, comes_again: bool = False) -> Job:
        """An actor gets a message; a dead one's message may come again."""

        def died() -> None:
            if comes_again:
                heapq.heappush(self.queue, replace(message, no=next(self._no)))

        return Job(
            label="deliver",
            work=lambda: self._perform(message),
            done=lambda step: self._follow(step, message),
            failed=lambda _: self._once_more(message),
            died=died,
        )

    # The end.

    def mend(self) -> None:
        """End all faults; those that stand still go on and find that they are late."""
        self.away_until.clear()
        self.faults.clear()
        for provider in self.providers.values():
            provider.behaviour = "accepts"
        for name in self.names:
            self.board.resume(name)
        while self.stalled:
            self.resume(0)

    def end(self) -> None:
        """Let nobody stand still for ever."""
        while self.stalled:
            process, _ = self.stalled.pop()
            process.resume(dies=True)

    def settle_down(self) -> None:
        """Deliver, sweep and wait, until nothing is to be done any more."""
        for _ in range(MOST_ROUNDS):
            self._deliver_all()
            self.do(Job(label="sweep", work=self.offer))
            self._deliver_all()
            waits = [email.due_at for email in self.store.all() if email.due_at]
            if not waits:
                return
            self._wait(min([*waits, *(m.due for m in self.queue)]))
        raise AssertionError(f"not quiet: {self.store.all()}")

    def _deliver_all(self) -> None:
        for _ in range(MOST_MESSAGES):
            message = self.take_next()
            if message is None:
                return
            self.do(self.a_delivery(message))
        raise AssertionError(f"a loop that runs hot: {self.queue}")

    def _wait(self, until: datetime) -> None:
        self._wait_until(max(until, self.clock.now() + seconds(1)))
