"""Every step that may come next in a world.

What a worker does is cut where another one, a crash or time may come between. The
steps that come by themselves are told apart from those that need a fault or a wish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postroom.domain.outcome import Accepted
from tests.builders import NOW, seconds
from tests.model.fates import ACCEPTED, FATES, Fate
from tests.model.machine import Hold, Machine
from tests.model.promises import wrong_with_call, wrong_with_copy
from tests.model.trouble import trouble
from tests.model.world import Copy, Step, Worker, World

#: Names of attempts: whoever claims takes the first that is free.
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of one scenario.

    Attributes:
        fates: What a call may come to, besides an acceptance.
    """

    machine: Machine
    fates: tuple[str, ...] = ()

    def __call__(self, world: World) -> list[Step]:
        """Return every step that may come next."""
        out: list[Step] = []
        urgent = self._progress(world, out)
        out.extend(self._time(world, urgent=urgent))
        if any(world.budget):
            out.extend(trouble(self.machine, world))
        return out

    def _progress(self, world: World, out: list[Step]) -> bool:
        """Add what workers, messages and the sweep do; return whether any must."""
        urgent = False
        first, second = world.workers
        if first.hold:
            out.extend(self._work(world, 0))
            urgent = not first.frozen
        if second.hold and second != first:
            out.extend(self._work(world, 1))
            urgent |= not second.frozen
        if world.hints and not first.hold:  # the idle one stands first
            delivered = list(self._deliver(world))
            out.extend(delivered)
            # One that comes too early is only put back.
            urgent |= not world.slow and any(step.by_itself for step in delivered)
        after = self.machine.sweep(world.email, world.now, world.away_until)
        if after.email != world.email:
            then = world.moved(after.email, hinted=after.hinted)
            out.append(Step("sweep", then, True, after.wrong))
            urgent = True
        return urgent

    def _deliver(self, world: World) -> Iterator[Step]:
        """Take a message to the router, and on to the provider that it names."""
        taken = world._replace(hints=world.hints - 1, slow=False)
        routed = self.machine.route(world.email, world.now, world.away_until)
        if routed.named is None:
            then = taken.moved(routed.email, hinted=routed.hinted)
            if then != world:
                yield Step("route", then, True, routed.wrong)
        else:
            yield from self._load(world, taken, routed.named, by_itself=True)
        if world.budget.strays:
            for name in self.machine.profiles:
                if name != routed.named:
                    stray = taken.spent("strays")
                    yield from self._load(world, stray, name, by_itself=False)

    def _load(
        self, world: World, taken: World, provider: str, *, by_itself: bool
    ) -> Iterator[Step]:
        after = self.machine.begin(provider, world.email, world.now, world.away_until)
        then = taken.moved(after.email, hinted=after.hinted)
        then = then.with_worker(0, Worker(after.hold))
        if then != world:
            yield Step(f"load for {provider}", then, by_itself, after.wrong)

    # What a worker does with what it has in hand.

    def _work(self, world: World, index: int) -> Iterator[Step]:
        hold = self._hold(world, index)
        if hold.step == "calling":
            yield from self._call(world, index, hold)
            return
        told = self._free_letter(world, index) if hold.step == "ready" else None
        after = self.machine.work(
            world.workers[index].hold, world.email, world.now, world.away_until, told
        )
        then = world.moved(after.email, hinted=after.hinted)
        if hold.step == "told":
            then = then._replace(heard=world.heard | self._heard(hold))
            if world.budget.losses:
                # It is written, and the store's answer lost: the worker tries again.
                again = then.spent("losses")
                yield Step("record, unheard", again, False, after.wrong)
        then = then.with_worker(index, Worker(after.hold))
        yield Step(_label(hold, after.hold), then, True, after.wrong)

    def _hold(self, world: World, index: int) -> Hold:
        hold = self.machine.holds[world.workers[index].hold]
        assert hold is not None
        return hold

    def _free_letter(self, world: World, index: int) -> str:
        other = self.machine.holds[world.workers[1 - index].hold]
        used = {attempt.id for attempt in self.machine.emails[world.email].attempts}
        used.update(copy.attempt for copy in world.copies)
        used.update([other.attempt] if other else [])
        return next(letter for letter in LETTERS if letter not in used)

    def _heard(self, hold: Hold) -> frozenset[int]:
        """Return the recipients for whom a provider told an acceptance."""
        if not isinstance(hold.outcome, Accepted):
            return frozenset()
        refused = {refusal.index for refusal in hold.outcome.refused}
        (*_, attempt) = self.machine.emails[hold.email].attempts
        return frozenset(attempt.recipients) - refused

    # What a provider does.

    def _call(self, world: World, index: int, hold: Hold) -> Iterator[Step]:
        wrong = tuple(
            wrong_with_call(
                self.machine.emails[world.email],
                self.machine.emails[hold.email],
                now=NOW + seconds(world.now),
                is_cancelled=world.cancelled,
            )
        )
        other = self.machine.holds[world.workers[1 - index].hold]
        if other is not None and other.step == "calling":
            wrong += ("two calls at once",)
        yield self._answer(world, index, "accepted", ACCEPTED, wrong)
        if world.budget.faults:
            less = world.spent("faults")
            for name in self.fates:
                yield self._answer(less, index, name, FATES[name], wrong)

    def _answer(
        self, world: World, index: int, name: str, fate: Fate, wrong: tuple[str, ...]
    ) -> Step:
        hold = self._hold(world, index)
        number = world.workers[index].hold
        after = self.machine.work(
            number, world.email, world.now, world.away_until, fate.outcome
        )
        then = world.with_worker(index, Worker(after.hold))
        copy = self._copy(world, hold, fate) if fate.taken else None
        if copy is not None:
            wrong += tuple(self._wrong_with(world, copy))
            then = then._replace(copies=(*world.copies, copy))
        label = f"{hold.provider} answers: {name}"
        return Step(label, then, fate is ACCEPTED, wrong)

    def _copy(self, world: World, hold: Hold, fate: Fate) -> Copy | None:
        """Return what a provider makes of a request; nothing of a known key."""
        ttl = self.machine.profiles[hold.provider].key_ttl_s
        for old in world.copies:
            same = old.provider == hold.provider and old.key == hold.key
            if hold.key and same and world.now < old.at + ttl:
                return None
        refused: set[int] = set()
        if isinstance(fate.outcome, Accepted):
            refused = {refusal.index for refusal in fate.outcome.refused}
        (*_, attempt) = self.machine.emails[hold.email].attempts
        return Copy(
            attempt=hold.attempt,
            provider=hold.provider,
            key=hold.key,
            at=world.now,
            recipients=tuple(i for i in attempt.recipients if i not in refused),
        )

    def _wrong_with(self, world: World, copy: Copy) -> Iterator[str]:
        mine = set(copy.recipients)
        return wrong_with_copy(
            self.machine.emails[world.email],
            copy,
            [old for old in world.copies if mine.intersection(old.recipients)],
            forced=world.forced,
        )

    # What time does.

    def _time(self, world: World, *, urgent: bool) -> Iterator[Step]:
        """Go on when nobody has anything to do, or when all stand still.

        Never during a call: a call ends before its lease, and nothing that any other
        may do about a leased email comes due before that.
        """
        holds = [self.machine.holds[worker.hold] for worker in world.workers]
        if any(hold is not None and hold.step == "calling" for hold in holds):
            return
        is_free = not urgent and not all(holds)
        if not is_free and not world.budget.stalls:
            return
        then = min((i for i in self._instants(world) if i > world.now), default=None)
        if then is None:
            return
        if is_free:
            yield Step(f"time: {then}", world._replace(now=then), True)
            return
        first, second = (w._replace(frozen=bool(w.hold)) for w in world.workers)
        stalled = world.spent("stalls")._replace(now=then, slow=bool(world.hints))
        stalled = stalled._replace(workers=(first, second))
        yield Step(f"all stand still until {then}", stalled, False)

    def _instants(self, world: World) -> Iterator[int]:
        """Give when anything may change, in seconds; some have passed."""
        yield from self.machine.instants(world.email)
        yield world.back_at
        for worker in world.workers:
            hold = self.machine.holds[worker.hold]
            if hold is not None and hold.step == "claimed":
                yield hold.since + self.machine.late_after + 1
        for copy in world.copies:
            if copy.key is not None:
                yield copy.at + self.machine.profiles[copy.provider].key_ttl_s


def _label(hold: Hold, then: int) -> str:
    match hold.step:
        case "ready":
            what = "claim" if then else "claim lost"
        case "claimed":
            what = "look at the clock"
        case _:
            what = "record"
    return f"{what} ({hold.provider})"
