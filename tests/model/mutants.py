"""The protocol with one rule taken away: the walk must find what that breaks.

A mutant puts another function in the place of one of the project's own, in the module
that calls it. What it does not change it leaves to the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.change import Change, Guard
from postroom.domain.claiming import MayClaim, may_claim
from postroom.domain.email import Delivery, Email, State
from postroom.domain.erasure import erased_whole
from postroom.domain.interventions import cancelled, redriven
from postroom.domain.keys import Key, key_of
from postroom.domain.lifecycle import claim
from postroom.domain.outcome import Accepted, RefusalKind, Refused, Unknown
from postroom.domain.settling import Result, lapse, record
from postroom.services.attempt import Attempt
from postroom.services.offer import Offer, Swept

ONCE, AT_LEAST = Delivery.AT_MOST_ONCE, Delivery.AT_LEAST_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One rule less.

    Attributes:
        patches: What stands in the place of what, by name.
        scenario: Where that shows.
        delivery: What the client prefers there.
        breaks: The promise that is found to be broken.
    """

    patches: Mapping[str, Callable[..., Any]]
    scenario: str
    delivery: Delivery
    breaks: str


def _lapse_without_lease(email: Email, **given: Any) -> Change | None:
    if email.state is State.SENDING:
        given["now"] = max(email.due_at or given["now"], given["now"])
    return lapse(email, **given)


_admits = Guard.admits


def _admits_any_fence(guard: Guard, email: Email) -> bool:
    return _admits(replace(guard, fence=email.fence), email)


_apply = MemoryStore.apply


def _apply_claim_without_intention(
    store: MemoryStore, change: Change, *, patience: timedelta = timedelta(0)
) -> bool:
    """The attempt is first written with what came of it."""
    if change.guard.pending is not None:
        before = change.before
        after = replace(
            change.after,
            attempts=before.attempts,
            possible_duplicates=before.possible_duplicates,
        )
        change = replace(change, after=after)
    return _apply(store, change, patience=patience)


def _record_unknown_as_failed(
    email: Email, result: Result, **given: Any
) -> Change | None:
    if isinstance(result.outcome, Unknown):
        no = Refused(kind=RefusalKind.TRANSIENT, certain=True, code="timeout")
        result = replace(result, outcome=no)
    return record(email, result, **given)


def _record_all_as_certain(email: Email, result: Result, **given: Any) -> Change | None:
    if isinstance(result.outcome, Refused):
        result = replace(result, outcome=replace(result.outcome, certain=True))
    return record(email, result, **given)


def _record_nothing_late(email: Email, result: Result, **given: Any) -> Change | None:
    last = email.attempts[-1].id if email.attempts else None
    in_hand = email.state is State.SENDING and last == result.attempt_id
    if isinstance(result.outcome, Accepted) and not in_hand:
        return None
    return record(email, result, **given)


def _sweep_nothing(offer: Offer) -> Swept:
    return Swept()


def _may_claim_from_any_state(email: Email, *given: Any, **named: Any) -> Any:
    return MayClaim() if email.pending else may_claim(email, *given, **named)


def _claim_from_any_state(email: Email, **given: Any) -> Change:
    fit = replace(email, state=State.QUEUED, not_before=given["now"])
    change = claim(fit, **given)
    guard = replace(change.guard, states=frozenset(State), not_before_by=None)
    return replace(change, before=email, guard=guard)


def _may_claim_at_any_time(email: Email, *given: Any, **named: Any) -> Any:
    return may_claim(replace(email, not_before=named["now"]), *given, **named)


def _claim_at_any_time(email: Email, **given: Any) -> Change:
    change = claim(replace(email, not_before=given["now"]), **given)
    guard = replace(change.guard, not_before_by=None)
    after = replace(change.after, not_before=email.not_before)
    return replace(change, before=email, after=after, guard=guard)


def _claim_without_ledger(email: Email, **given: Any) -> Change:
    change = claim(email, **given)
    ledger = email.possible_duplicates
    return replace(change, after=replace(change.after, possible_duplicates=ledger))


def _key_always_new(email: Email, *given: Any, **named: Any) -> Key | None:
    forgetful = tuple(replace(a, key_until=None) for a in email.attempts)
    return key_of(replace(email, attempts=forgetful), *given, **named)


def _may_claim_unbound(email: Email, *given: Any, **named: Any) -> Any:
    return may_claim(replace(email, bound_to=None), *given, **named)


def _key_lives_for_ever(key: Key, now: Any) -> bool:
    return True


def _call_without_a_look(
    attempt: Attempt, provider: Any, built: Any, *, waited_s: float
) -> Any:
    return provider.send(built, timeout=attempt.policy.timeout)


def _cancelled_anyhow(email: Email, **given: Any) -> Change:
    return cancelled(email, **(given | {"force": True}))


def _redriven_anyhow(email: Email, **given: Any) -> Change:
    return redriven(email, **(given | {"force": True}))


def _redriven_though_erased(email: Email, **given: Any) -> Change:
    whole = replace(email, erased_at=None, dead_at=email.dead_at or email.erased_at)
    change = redriven(whole, **given)
    after = replace(change.after, erased_at=email.erased_at)
    return replace(change, before=email, after=after)


def _erased_though_open(email: Email, **given: Any) -> Change:
    change = erased_whole(replace(email, state=State.FAILED), **given)
    guard = replace(change.guard, states=frozenset({email.state}))
    after = replace(change.after, state=email.state)
    return Change(guard=guard, before=email, after=after)


def _words_though_erased(_: Email, detail: str) -> str | None:
    return detail or None


_ATTEMPT = "postroom.services.attempt"
_RECORD = "postroom.services.settle.record"

#: Each takes one rule away.
MUTANTS: Mapping[str, Mutant] = {
    "no lease": Mutant(
        patches={"postroom.services.reconcile.lapse": _lapse_without_lease},
        scenario="news",
        delivery=AT_LEAST,
        breaks="called without a lease",
    ),
    "no fence": Mutant(
        patches={"postroom.domain.change.Guard.admits": _admits_any_fence},
        scenario="doubt",
        delivery=AT_LEAST,
        breaks="a copy that no record explains",
    ),
    "the intention is written late": Mutant(
        patches={
            "postroom.adapters.memory_store.MemoryStore.apply": (
                _apply_claim_without_intention
            )
        },
        scenario="doubt",
        delivery=ONCE,
        breaks="called before the intention was written",
    ),
    "unknown is treated as failed": Mutant(
        patches={_RECORD: _record_unknown_as_failed},
        scenario="doubt",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "no sweep": Mutant(
        patches={"postroom.services.offer.Offer.__call__": _sweep_nothing},
        scenario="losses",
        delivery=AT_LEAST,
        breaks="lost: by itself it comes to no end",
    ),
    "a late acceptance is ignored": Mutant(
        patches={_RECORD: _record_nothing_late},
        scenario="doubt",
        delivery=ONCE,
        breaks="an acceptance was heard, and it is not sent",
    ),
    "being hinted counts as permission": Mutant(
        patches={
            f"{_ATTEMPT}.may_claim": _may_claim_from_any_state,
            f"{_ATTEMPT}.claim": _claim_from_any_state,
        },
        scenario="doubt",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "no not_before": Mutant(
        patches={
            f"{_ATTEMPT}.may_claim": _may_claim_at_any_time,
            f"{_ATTEMPT}.claim": _claim_at_any_time,
        },
        scenario="schedule",
        delivery=AT_LEAST,
        breaks="sent before its time",
    ),
    "an uncertain refusal is treated as certain": Mutant(
        patches={_RECORD: _record_all_as_certain},
        scenario="doubt",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "the key is forgotten at a repetition": Mutant(
        patches={f"{_ATTEMPT}.key_of": _key_always_new},
        scenario="keys",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "the claim ignores the bond": Mutant(
        patches={f"{_ATTEMPT}.may_claim": _may_claim_unbound},
        scenario="keys and none",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "a key counts however old it is": Mutant(
        patches={"postroom.domain.keys.Key.lives": _key_lives_for_ever},
        scenario="short keys",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "no look at the clock before the call": Mutant(
        patches={f"{_ATTEMPT}.Attempt._call": _call_without_a_look},
        scenario="doubt",
        delivery=ONCE,
        breaks="called without a lease",
    ),
    "no ledger": Mutant(
        patches={f"{_ATTEMPT}.claim": _claim_without_ledger},
        scenario="doubt",
        delivery=AT_LEAST,
        breaks="a copy that no record explains",
    ),
    "a cancellation does not ask whether it is out": Mutant(
        patches={"postroom.services.cancel.cancelled": _cancelled_anyhow},
        scenario="cancel",
        delivery=AT_LEAST,
        breaks="cancelled, and it was out",
    ),
    "a redrive does not ask whether it is out": Mutant(
        patches={"postroom.services.redrive.redriven": _redriven_anyhow},
        scenario="operators",
        delivery=ONCE,
        breaks="at most once, and twice",
    ),
    "a redrive does not ask whether it is erased": Mutant(
        patches={"postroom.services.redrive.redriven": _redriven_though_erased},
        scenario="erasure",
        delivery=AT_LEAST,
        breaks="erased, and open",
    ),
    "an erasure does not ask whether it is final": Mutant(
        patches={"postroom.services.erase.erased_whole": _erased_though_open},
        scenario="erasure",
        delivery=AT_LEAST,
        breaks="erased, and open",
    ),
    "a late result brings its words": Mutant(
        patches={"postroom.domain.settling._words": _words_though_erased},
        scenario="erasure",
        delivery=AT_LEAST,
        breaks="erased, and it says something again",
    ),
}
