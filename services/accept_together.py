"""Accept several emails at once, or one under a key: all of it, and only once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..domain.acceptance import NewEmail, accept
from ..domain.email import Email
from ..domain.errors import (
    ClockUnsureError,
    HintError,
    KeyReusedError,
    NotStoredError,
    UncarriableError,
    UncarriableItemsError,
)
from ..domain.hint import Hint
from ..domain.idempotency import IdempotencyKey, Receipt, Unfit, fingerprint
from ..domain.policy import LONGEST_HINT_DELAY, Policy
from ..domain.ports import Chance, Clock, Hints
from ..domain.ports_conservation import Ledger, Uncounted
from ..domain.ports_intake import Intake
from ..domain.routing import ProviderProfile
from .carriable import why_not

Item = NewEmail | Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a request.

    Attributes:
        is_replay: It had been accepted before, under the same key.
    """

    receipt: Receipt
    is_replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptTogether:
    """Take responsibility for all emails of a request, in one write.

    Attributes:
        ledger: Counts what was accepted, so that a loss can be seen.
    """

    intake: Intake
    hints: Hints
    clock: Clock
    chance: Chance
    profiles: Sequence[ProviderProfile]
    policy: Policy
    ledger: Ledger = field(default_factory=Uncounted)

    def one(self, new: NewEmail, *, key: IdempotencyKey) -> Accepted:
        """Accept one email under a key, or say again what became of it.

        Raises:
            UncarriableError: No configured provider could ever carry it.
            PostroomError: As `__call__` says.
        """
        try:
            return self([new], key=key)
        except UncarriableItemsError as ex:
            raise UncarriableError(ex.items[0]) from ex

    def __call__(
        self,
        items: Sequence[Item],
        *,
        is_strict: bool = True,
        key: IdempotencyKey | None = None,
    ) -> Accepted:
        """Accept the emails of a batch, or say again what became of it.

        Args:
            items: What was asked for; what is no email is told in the receipt.
            is_strict: One that no provider could carry refuses all of it. Else it is
                told in the receipt too, and the others are accepted.
            key: The client's name for the request.

        Raises:
            KeyReusedError: The key is known from another request.
            KeyInUseError: Another request has the key in hand.
            UncarriableItemsError: Strict only.
            NoTransactionsError: The store cannot keep emails together.
            NotStoredError: None of it is stored, that is known.
            StorageUnsureError: Nobody could find out whether it is stored.
            StoreUnavailableError: Nobody could find out whether the key is known.
        """
        name = key.name if key else ""
        asked = fingerprint(items, is_strict=is_strict) if key else ""
        if name and (kept := self.intake.recall(name)) is not None:
            return _replay(kept, asked)
        now = self._now()
        news, unfit = self._carriable(items, is_strict=is_strict)
        emails = [self._accept(new, now=now) for new in news]
        receipt = Receipt.of(emails, unfit, at=now, name=name, fingerprint=asked)
        if not emails:
            return Accepted(receipt=receipt)  # nothing that could happen twice
        kept = self.intake.insert_together(emails, receipt)
        if kept.email_ids != receipt.email_ids:
            return _replay(kept, asked)
        for email in emails:
            self.ledger.accepted(email.email_id)
        self._hint(emails, now=now)
        return Accepted(receipt=receipt)

    def uncarriable(self, items: Sequence[Item]) -> Mapping[int, Mapping[str, str]]:
        """Return the items that no provider could ever carry, by index, and why.

        Raises:
            NotStoredError: The store's time is not known.
        """
        now = self._now()
        reasons = {
            index: why_not(item, self.profiles, now=now)
            for index, item in enumerate(items)
            if isinstance(item, NewEmail)
        }
        return {index: why for index, why in reasons.items() if why is not None}

    def _now(self) -> datetime:
        try:
            return self.clock.now()
        except ClockUnsureError as ex:
            raise NotStoredError("the store has not been seen lately") from ex

    def _carriable(
        self, items: Sequence[Item], *, is_strict: bool
    ) -> tuple[list[NewEmail], list[Unfit]]:
        refused = self.uncarriable(items)
        if refused and is_strict:
            raise UncarriableItemsError(refused)
        news: list[NewEmail] = []
        unfit: list[Unfit] = []
        for index, item in enumerate(items):
            if isinstance(item, Unfit):
                unfit.append(item)
            elif index in refused:
                message = str(UncarriableError(refused[index]))
                unfit.append(Unfit(index=index, message=message))
            else:
                news.append(item)
        return news, unfit

    def _accept(self, new: NewEmail, *, now: datetime) -> Email:
        email_id = self.chance.email_id()
        return accept(new, email_id=email_id, now=now, policy=self.policy)

    def _hint(self, emails: Sequence[Email], *, now: datetime) -> None:
        waits = [(e, (e.not_before or now) - now) for e in emails]
        # What is further away is offered by the sweep when its time comes.
        soon = [
            (Hint.of(email), max(wait, timedelta(0)))
            for email, wait in waits
            if wait <= LONGEST_HINT_DELAY
        ]
        if not soon:
            return
        try:
            self.hints.route_all(soon)
        except HintError:
            return  # the emails are safe: the sweep offers whatever is due


def _replay(kept: Receipt, asked: str) -> Accepted:
    if kept.fingerprint != asked:
        raise KeyReusedError("the key is known from another request")
    return Accepted(receipt=kept, is_replay=True)
