"""The world as a service sees it for the length of one step: one email, one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from postroom.adapters.memory_erasure import MemoryErasure
from postroom.domain.change import Change, Guard
from postroom.domain.email import Email
from postroom.domain.hint import Hint
from postroom.domain.outcome import Outcome
from postroom.domain.ports import BreakerView, Built, Denied, Permit, Report
from postroom.domain.routing import BreakerState, Health, ProviderProfile
from postroom.services.next_step import NextStep
from postroom.services.settle import Settle


class Write(NamedTuple):
    """One guarded write, written or not: an equal one may have been before it."""

    stored: Email
    change: Change
    guard: Guard
    is_written: bool


class Store(MemoryErasure):
    """The real twin of the store, with one email in it; it notes every write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Write] = []

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        self._note(change)
        return super().apply(change, patience=patience)

    def erase_whole(self, change: Change) -> bool:
        self._note(change)
        return super().erase_whole(change)

    def _note(self, change: Change) -> None:
        stored = self.the_email
        is_written = change.guard.admits(stored)
        self.writes.append(Write(stored, change, change.guard, is_written))

    @property
    def the_email(self) -> Email:
        (email,) = self._emails.values()
        return email

    @the_email.setter
    def the_email(self, email: Email) -> None:
        self._emails = {email.email_id: email}


class Paused(BaseException):
    """The next thing to happen lies outside the process: here others may come first."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


class Seen(NamedTuple):
    """What a worker met between two pauses.

    Attributes:
        back_at: While now is before it, no provider can be used.
        told: The id of its attempt, or what came of its call.
    """

    email: Email
    now: datetime
    back_at: datetime
    told: Any = None


@dataclass
class Ports:
    """All ports at once. A worker's past is played to it before the present.

    Attributes:
        script: What the worker met from one pause to the next; the last is now.
        hinted: Whether a message about the email was left.
        named: The provider that the router named.
        wants_reconcile: Whether the sweep asked for that.
        key: What the worker's request was built with.
        claimed: The email as the worker claimed it.
    """

    store: Store = field(default_factory=Store)
    script: tuple[Seen, ...] = ()
    at: int = 0
    looks: int = 0
    pauses: bool = False
    has_lost_all: bool = False
    hinted: bool = False
    named: str | None = None
    wants_reconcile: bool = False
    wants_release: bool = False
    key: str | None = None
    claimed: Email | None = None

    def begin(self, *script: Seen, pauses: bool = False) -> None:
        """Forget the last step and stand at the beginning of another."""
        self.script, self.at, self.looks, self.pauses = script, 0, 0, pauses
        self.hinted = self.wants_reconcile = self.wants_release = False
        self.named = self.key = self.claimed = None
        self.store.the_email = script[0].email
        self.store.writes.clear()

    def pause(self, step: str) -> None:
        """Go on to what came next in the past, or stop here."""
        self.at += 1
        if self.at == len(self.script):
            raise Paused(step)
        self.store.the_email = self.script[self.at].email
        self.store.writes.clear()
        self.hinted = False

    # The clock and chance.

    def now(self) -> datetime:
        return self.script[self.at].now

    def monotonic(self) -> float:
        self.looks += 1
        if self.pauses and self.looks == 1:
            self.pause("ready")
        elif self.pauses and self.looks == 2:
            self.claimed = self.store.writes[-1].change.after
            self.pause("claimed")
        return self.now().timestamp()

    def attempt_id(self) -> str:
        return str(self.script[self.at].told)

    def email_id(self) -> str:
        raise NotImplementedError

    def jitter(self) -> float:
        return 0.0

    # Messages.

    def has_forgotten(self) -> bool:
        return self.has_lost_all

    def remember(self) -> None:
        self.has_lost_all = False

    def waiting(self) -> int:
        return 0

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        self.hinted = True

    def route_all(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        self.hinted = True

    def send(
        self, provider: str, hint: Hint, *, delay: timedelta = timedelta(0)
    ) -> None:
        self.named = provider

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        # The sweep asks again when it is due; an earlier message finds nothing to do.
        self.wants_reconcile = True

    def reconcile_all(self, email_ids: Sequence[str]) -> None:
        self.wants_reconcile = True

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        self.wants_release = True


@dataclass
class Line:
    """One provider: its call comes to what the script says."""

    profile: ProviderProfile
    ports: Ports

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        self.ports.key = key
        return Built(provider=self.profile.name, request=key)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        self.ports.pause("calling")
        outcome: Outcome = self.ports.script[self.ports.at].told
        return outcome


@dataclass
class Board:
    """All breakers are closed, or all are open until their time."""

    ports: Ports

    def health(self, provider: str) -> Health:
        seen = self.ports.script[self.ports.at]
        if seen.back_at <= seen.now:
            return Health()
        return Health(state=BreakerState.OPEN, retry_at=seen.back_at)

    def view(self, provider: str) -> BreakerView:
        return BreakerView(health=self.health(provider))

    def permit(self, provider: str, *, probe: bool) -> Permit | Denied:
        if self.health(provider).state is BreakerState.OPEN:
            return Denied(provider=provider, wait=timedelta(seconds=1))
        return Permit(provider=provider, token="", epoch=0)

    def report(self, permit: Permit, report: Report) -> BreakerState:
        return BreakerState.CLOSED

    def elect_probe(self, provider: str, email_id: str) -> bool:
        return True

    def may_release(self, provider: str, *, every: timedelta) -> bool:
        return True

    def pause(self, provider: str, *, wait: timedelta) -> None:
        """A provider that asked for a pause is not kept apart here."""

    def remember_refused_sender(self, provider: str, from_domain: str) -> None:
        """The email itself remembers that it was refused."""


@dataclass
class Settling:
    """The real `Settle`, behind the last pause of an attempt."""

    ports: Ports
    settle: Settle

    def __call__(self, email: Email, **given: Any) -> NextStep:
        self.ports.pause("told")
        return self.settle(email, **given)
