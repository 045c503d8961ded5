"""Every interleaving for one email, over the project's own services and rules.

What is modelled
    One email from its 201 on, two workers, one or two providers, the router, the
    sweep, the store's time. The services are the real ones (``machine.py``): each runs
    until it asks something of the world, and there another one, a crash or time may
    come between. An attempt is cut four times: before its claim, between claim and
    call, at the call, and between call and record. The store is the in-memory twin
    that passes the same contract suite as MongoDB's; ``test_guards.py`` compares the
    guards of all writes met here with MongoDB's filters.

    What may happen (``steps.py``): hints that come twice, late, too early, for another
    provider, or never; crashes anywhere; leases that end; a standstill of everything,
    as long as you like; answers of all kinds, the unclear ones with and without the
    provider having taken the email; news of an attempt, however late; outages; a client
    who cancels or moves a schedule; an operator who redrives, with and without force,
    or marks as sent; an erasure of all that was said. Each costs something of a
    scenario's budget (``scenarios.py``), and within that every order is tried.

What must hold (``promises.py``)
    Whatever happens by itself from any world leads to an end, final or held, in any
    order. No open email without a time at which somebody looks at it. A call only under
    a live lease of one's own, never two at once. At most one copy of what must not go
    twice, unless an operator forces it; of anything else each further copy is explained
    by a possible duplicate written before the call; no further copy where the provider
    would have known a repetition by its key. No call before its time or after a
    cancellation. An acceptance that was heard ends as sent, and only what a provider
    took does. Settled email stays so but for a redrive and a late acceptance. Every
    write but an offer moves the fence by one. Failed only by a refusal meant for the
    email, by age, or because nobody can carry it. What is erased is final and stays so,
    and no late result brings a word of it back.

What is not modelled
    A worker that stands still between its last look at the clock and the first byte for
    longer than the lease: no design closes that window, so a call here begins with that
    look. Time does not pass during a call: it ends before its lease. A store that fails
    before or after a write is a crash there, or a record whose answer is lost. Breakers
    are all closed or all open until a time; their own states have tests of their own.
    More than one email, two workers' clocks that differ, and a client's repeated POST.
    Erasure by address and by age: one by one they are the same guarded write.

Run with ``-s`` for the figures: the worlds, and of each mutant the shortest way to what
it breaks. ``PROVE=full`` walks with larger budgets.
"""

from __future__ import annotations

import time

import pytest

from postroom.domain.email import Delivery
from tests.model.mutants import MUTANTS
from tests.model.scenarios import SCENARIOS, walked


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_comes_between_the_promise_holds(
    name: str, delivery: Delivery
) -> None:
    begun = time.process_time()

    walk = walked(name, delivery)[0]

    took = time.process_time() - begun
    print(f"\n{name}, {delivery}: {walk.worlds} worlds, {took:.1f} s")
    assert walk.wrong == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_any_one_rule_it_does_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    for target, instead in mutant.patches.items():
        monkeypatch.setattr(target, instead)

    walk, _ = SCENARIOS[mutant.scenario].walk(mutant.delivery, until={mutant.breaks})

    way = walk.wrong.get(mutant.breaks, [])
    print(f"\n{name}: {mutant.breaks}, after {walk.worlds} worlds: {', '.join(way)}")
    assert way
