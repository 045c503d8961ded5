"""Rules of ours, broken one at a time: each must be found out by some story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from postroom.adapters.memory_store import MemoryStore
from postroom.domain import doubt, duplicates, interventions, lifecycle, settling
from postroom.domain.change import Change, Guard
from postroom.domain.email import Delivery, Email, State
from postroom.domain.idempotency import Receipt
from postroom.domain.outcome import NotSent, Outcome, Refused, Unknown
from postroom.services import attempt as attempt_service
from postroom.services import erase as erase_service
from postroom.services import settle as settle_service
from postroom.services.offer import Offer, Swept

Patch = pytest.MonkeyPatch


def no_fence(patch: Patch) -> None:
    """Any write goes, whoever wrote meanwhile."""
    admits = Guard.admits
    patch.setattr(
        Guard, "admits", lambda guard, e: admits(replace(guard, fence=e.fence), e)
    )


def no_not_before(patch: Patch) -> None:
    """A claim may come before its time."""
    claim = lifecycle.claim

    def early(email: Email, **given: Any) -> Change:
        at = email.not_before and min(email.not_before, given["now"])
        change = claim(replace(email, not_before=at), **given)
        guard = replace(change.guard, not_before_by=None)
        return replace(change, guard=guard, before=email)

    def may(*given: Any, **named: Any) -> Any:
        found = may_claim(*given, **named)
        is_early = isinstance(found, attempt_service.TooEarly)
        return attempt_service.MayClaim() if is_early else found

    may_claim = attempt_service.may_claim
    patch.setattr(attempt_service, "claim", early)
    patch.setattr(attempt_service, "may_claim", may)


def _outcome_as(patch: Patch, told: Callable[[Outcome], Outcome]) -> None:
    record = settling.record

    def wrong(email: Email, result: settling.Result, **given: Any) -> Change | None:
        result = replace(result, outcome=told(result.outcome))
        return record(email, result, **given)

    patch.setattr(settle_service, "record", wrong)


def unknown_is_not_sent(patch: Patch) -> None:
    """Whoever did not answer has not taken it."""
    _outcome_as(patch, lambda o: NotSent(cause="x") if isinstance(o, Unknown) else o)


def unsure_is_certain(patch: Patch) -> None:
    """Whoever refused it has not taken it, whatever is documented."""
    _outcome_as(
        patch, lambda o: replace(o, certain=True) if isinstance(o, Refused) else o
    )


def at_most_once_is_not_held(patch: Patch) -> None:
    """An email that must not go twice is sent again as any other."""
    ends = doubt._wait_ends
    patch.setattr(
        doubt,
        "_wait_ends",
        lambda email, *given: ends(
            replace(email, delivery=Delivery.AT_LEAST_ONCE), *given
        ),
    )


def no_duplicate_is_recorded(patch: Patch) -> None:
    """A claim does not say what may be out already."""
    patch.setattr(duplicates, "maybe_out", lambda _: ())


def out_can_be_cancelled(patch: Patch) -> None:
    """What may be out is cancelled without force."""
    patch.setattr(interventions, "maybe_out", lambda _: ())


def every_call_has_a_new_key(patch: Patch) -> None:
    """A repetition goes with a key of its own."""
    key_of = attempt_service.key_of

    def new(email: Email, *given: Any, **named: Any) -> Any:
        key = key_of(email, *given, **named)
        return key and replace(key, value=f"{email.email_id}-{email.fence}")

    patch.setattr(attempt_service, "key_of", new)


def late_acceptances_are_ignored(patch: Patch) -> None:
    """An acceptance settles only the email that its attempt has in hand."""
    patch.setattr(settling, "SETTLED_LATE", frozenset())


def no_sweep(patch: Patch) -> None:
    """Nobody offers again what was lost."""
    patch.setattr(Offer, "__call__", lambda _: Swept())


def keys_are_not_kept(patch: Patch) -> None:
    """A request that is repeated is another one."""

    def insert(
        store: MemoryStore, emails: Sequence[Email], receipt: Receipt
    ) -> Receipt:
        for email in emails:
            store.insert(email)
        return receipt

    patch.setattr(MemoryStore, "insert_together", insert)
    patch.setattr(MemoryStore, "recall", lambda *_: None)


def what_is_open_is_erased(patch: Patch) -> None:
    """An email loses what it says while it is still to be sent."""
    erased_whole = erase_service.erased_whole

    def anyhow(email: Email, **given: Any) -> Change:
        change = erased_whole(replace(email, state=State.FAILED), **given)
        guard = replace(change.guard, states=frozenset({email.state}))
        after = replace(change.after, state=email.state)
        return Change(guard=guard, before=email, after=after)

    patch.setattr(erase_service, "erased_whole", anyhow)


def erased_words_come_back(patch: Patch) -> None:
    """A late answer brings its words to an email that was erased."""
    patch.setattr(settling, "_words", lambda _, detail: detail or None)


MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant
    for mutant in (
        no_fence,
        no_not_before,
        unknown_is_not_sent,
        unsure_is_certain,
        at_most_once_is_not_held,
        no_duplicate_is_recorded,
        out_can_be_cancelled,
        every_call_has_a_new_key,
        late_acceptances_are_ignored,
        no_sweep,
        keys_are_not_kept,
        what_is_open_is_erased,
        erased_words_come_back,
    )
}
