"""What goes wrong, what becomes known, and what people ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from postroom.domain.email import Attempt
from tests.model.fates import ACCEPTED, FATES
from tests.model.machine import Machine
from tests.model.world import After, Copy, Step, Worker, World

#: How long all providers are away, in seconds.
AWAY_S = 30

#: The wishes that each budget pays for.
WISHES: Mapping[str, tuple[str, ...]] = {
    "cancels": ("cancel",),
    "moves": ("move",),
    "redrives": ("redrive",),
    "forces": ("cancel by force", "redrive by force"),
    "marks": ("mark sent",),
    "erasures": ("erase",),
}


def trouble(machine: Machine, world: World) -> Iterator[Step]:
    """Give all that may come and never comes by itself."""
    budget = world.budget
    if budget.crashes:
        yield from _crashes(world)
    if budget.doubles and world.hints < 2:
        is_any = world.hints or any(worker.hold for worker in world.workers)
        if is_any:
            more = world.spent("doubles")._replace(hints=world.hints + 1)
            yield Step("message comes again", more, False)
    if budget.losses:
        yield from _losses(machine, world)
    if budget.outages and not world.back_at:
        away = world.spent("outages")._replace(back_at=world.now + AWAY_S)
        yield Step("all providers go away", away, False)
    if budget.news:
        yield from _news(machine, world)
    yield from _wishes(machine, world)


def _crashes(world: World) -> Iterator[Step]:
    """A worker dies with what it knows; its message comes again."""
    first, second = world.workers
    for index, worker in enumerate(world.workers):
        if worker.hold and not (index and first == second):
            dead = world.spent("crashes").with_worker(index, Worker()).hinted()
            yield Step("crash", dead, False)


def _losses(machine: Machine, world: World) -> Iterator[Step]:
    gone = world.spent("losses")._replace(hints=0, slow=False)
    if world.hints:
        yield Step("messages are lost", gone, False)
    after = machine.sweep(world.email, world.now, world.away_until, forgotten=True)
    label = "all messages are lost, and the sweep sees it"
    yield _step(label, gone, after)


def _news(machine: Machine, world: World) -> Iterator[Step]:
    """An event tells the truth of an attempt, or a message comes too early."""
    less = world.spent("news")
    early = machine.reconcile(world.email, world.now)
    if early.email != world.email:
        yield _step("reconcile", less, early)
    holds = (machine.holds[worker.hold] for worker in world.workers)
    in_hand = {hold.attempt for hold in holds if hold is not None}
    for attempt in machine.emails[world.email].attempts:
        copy = _copy_of(world, attempt, is_in_hand=attempt.id in in_hand)
        is_known = copy is not None or attempt.id not in in_hand
        if not attempt.may_be_out or not is_known:
            continue
        truth = ACCEPTED if copy else FATES["not now"]
        after = machine.news(world.email, world.now, attempt.id, truth.outcome)
        if after.email != world.email:
            told = less
            if copy is not None:
                told = told._replace(heard=told.heard.union(copy.recipients))
            word = "accepted" if copy else "refused"
            yield _step(f"news: {attempt.id} was {word}", told, after)


def _copy_of(world: World, attempt: Attempt, *, is_in_hand: bool) -> Copy | None:
    """Return what a provider has of an attempt, or, with its key, of an earlier one.

    Of one that somebody has in hand there is news only if it was itself accepted.
    """
    for copy in world.copies:
        repeats = copy.key is not None and copy.key == attempt.key
        if copy.attempt == attempt.id or (repeats and not is_in_hand):
            return copy
    return None


def _wishes(machine: Machine, world: World) -> Iterator[Step]:
    for budget, names in WISHES.items():
        if not getattr(world.budget, budget):
            continue
        for name in names:
            after = machine.wish(name, world.email, world.now)
            if after.email == world.email:
                continue  # it was refused
            done = world.spent(budget)._replace(
                cancelled=world.cancelled or name == "cancel",
                forced=world.forced or name == "redrive by force",
            )
            if name == "cancel" and world.copies:
                after = after._replace(
                    wrong=(*after.wrong, "cancelled, and it was out")
                )
            yield _step(name, done, after)


def _step(label: str, world: World, after: After) -> Step:
    then = world.moved(after.email, hinted=after.hinted)
    return Step(label, then, False, after.wrong)
