"""What the use cases need of the world, and what they may rely on.

Each port has a real adapter and an in-memory twin that pass the same contract suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from .change import Change
from .email import Email
from .hint import Hint
from .outcome import Outcome
from .routing import BreakerState, Health, ProviderProfile


class Clock(Protocol):
    """The one clock of all processes: the store's."""

    def now(self) -> datetime:
        """Return the store's time, aware and in UTC.

        Raises:
            ClockUnsureError: It has not been seen for five minutes.
        """
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that only moves on and never jumps."""
        ...


class Chance(Protocol):
    """Randomness, so that the domain has none of its own."""

    def jitter(self) -> float:
        """Return a draw from [0, 1)."""
        ...

    def email_id(self) -> str:
        """Return a new id for an email: 24 hexadecimal digits."""
        ...

    def attempt_id(self) -> str:
        """Return a new id for an attempt that nobody can have guessed."""
        ...


class EmailStore(Protocol):
    """The truth about every email."""

    def insert(self, email: Email) -> None:
        """Store a new email, durable on a majority when it returns.

        Raises:
            NotStoredError: It is known not to be stored.
            StorageUnsureError: Nobody could find out within its budget.
        """
        ...

    def load(self, email_id: str) -> Email | None:
        """Return the email with its content, or ``None``.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...

    def apply(self, change: Change, *, patience: timedelta = timedelta(0)) -> bool:
        """Write a change if its guard still holds.

        Args:
            change: What to write.
            patience: How long to go on trying while the store is away.

        Returns:
            Whether it is written: now, or by an earlier try whose answer was lost.
            ``False``: the stored email is not the one that the change was made from.

        Raises:
            StoreUnavailableError: It may or may not have been written: read back.
        """
        ...

    def apply_all(self, changes: Sequence[Change]) -> Sequence[bool]:
        """Write several changes, each to another email, in one trip.

        Returns:
            For each in turn whether its guard held and it, or an equal one of
            somebody else's at the same moment, is written.

        Raises:
            StoreUnavailableError: Any of them may or may not have been written.
        """
        ...

    def due(
        self, before: datetime, *, limit: int, since: datetime | None = None
    ) -> Sequence[Email]:
        """Return open emails with ``due_at`` up to ``before``, earliest first.

        They come without their content. With ``since`` only what fell due after it,
        was never offered and is of no low priority: what a backlog is not to hold up.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...

    def hasten(self, now: datetime, *, before: datetime) -> None:
        """Make due now what may be claimed before an instant and is not parked.

        Only ``due_at`` moves, as with an offer: no right is given or taken.

        Raises:
            StoreUnavailableError: The store did not answer; a part may be done.
        """
        ...

    def parked(self, provider: str, *, limit: int) -> Sequence[Email]:
        """Return emails parked for a provider, oldest first, without their content.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...

    def is_writable(self) -> bool:
        """Return whether an email could be stored now. Never raises."""
        ...


class Hints(Protocol):
    """The fast way to an actor, that may lose anything.

    No method raises but ``HintError``, and whoever calls can always go on without.
    """

    def has_forgotten(self) -> bool:
        """Return whether hints may have been lost since ``remember`` was called.

        Redis was emptied, or could not be reached for a while.
        """
        ...

    def remember(self) -> None:
        """Note that everything open has been offered again."""
        ...

    def waiting(self) -> int:
        """Return how many hints at emails nobody is done with, about."""
        ...

    def route(self, hint: Hint, *, delay: timedelta = timedelta(0)) -> None:
        """Offer an email to the router."""
        ...

    def route_all(self, hints: Sequence[tuple[Hint, timedelta]]) -> None:
        """Offer several emails to the router, each after its delay, together.

        Some of them may have got through where it raises.
        """
        ...

    def send(
        self,
        provider: str,
        hint: Hint,
        *,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Offer an email to a provider's send actor."""
        ...

    def reconcile(self, email_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for an unknown or abandoned email to be looked at."""
        ...

    def reconcile_all(self, email_ids: Sequence[str]) -> None:
        """Ask for several of them to be looked at now, together."""
        ...

    def release(self, provider: str, *, delay: timedelta = timedelta(0)) -> None:
        """Ask for the next slice of a provider's parked emails to be let go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The right to one call to a provider.

    Attributes:
        token: Names a probe to the shared breaker; empty while it is closed.
        epoch: Which life of the breaker it belongs to; results of an older one
            count for nothing.
    """

    provider: str
    token: str
    epoch: int

    @property
    def is_probe(self) -> bool:
        """Whether this call decides if the breaker closes again."""
        return bool(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A refused permit.

    Attributes:
        wait: How long until asking again makes sense.
    """

    provider: str
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a call says about its provider's health.

    Attributes:
        success: ``True`` for a success, ``False`` for a failure, ``None`` for a
            result that says nothing (429, a permanent refusal, an interrupt).
        trip: Open at once, whatever the counts: the account is refused.
        latency: How long the call took, for the slow-call rule.
    """

    success: bool | None
    trip: bool = False
    latency: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """A breaker as operators see it.

    Attributes:
        calls: Calls counted in the current window.
        failures: How many of these failed or were slow.
        rate_per_s: Calls a second, lately, or before the breaker opened.
        p50_ms: What half of the calls of the window did not exceed; ``None`` if there
            were none.
        p95_ms: What 95 of 100 of them did not exceed.
    """

    health: Health
    calls: int = 0
    failures: int = 0
    rate_per_s: float = 0.0
    p50_ms: int | None = None
    p95_ms: int | None = None


class BreakerBoard(Protocol):
    """The health of all providers, shared by all processes.

    Redis away: each process goes on with what it sees itself. Nothing here raises.
    """

    def health(self, provider: str) -> Health:
        """Return a snapshot that is at most 250 ms old."""
        ...

    def view(self, provider: str) -> BreakerView:
        """Return the present state, read now."""
        ...

    def permit(self, provider: str, *, probe: bool) -> Permit | Denied:
        """Ask for the right to one call.

        Local while the snapshot says closed, one trip to Redis otherwise. With the
        breaker open only a ``probe`` is let through, one at a time over all
        processes, once its time has come.
        """
        ...

    def report(self, permit: Permit, report: Report) -> BreakerState:
        """Tell what came of the call, and return the state after it.

        Returns:
            The new state; ``CLOSED`` after a probe means that it has just closed.
        """
        ...

    def elect_probe(self, provider: str, email_id: str) -> bool:
        """Return whether this email is to be the provider's next probe.

        One is elected per wait of the breaker; a lost one is replaced when the wait
        and the probe's lease have passed.
        """
        ...

    def may_release(self, provider: str, *, every: timedelta) -> bool:
        """Return whether a slice of parked emails may be let go now.

        At most one caller of all processes is told so in ``every``, so that two
        releases at once do not double the pace.
        """
        ...

    def pause(self, provider: str, *, wait: timedelta) -> None:
        """Keep all from calling a provider for ``wait`` (429)."""
        ...

    def remember_refused_sender(self, provider: str, from_domain: str) -> None:
        """Keep emails of this From domain from a provider for ten minutes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A provider's request, ready to leave.

    Attributes:
        request: Whatever the provider's adapter made; nobody else looks inside.
    """

    provider: str
    request: Any = field(repr=False)


class Provider(Protocol):
    """One configured account at an email provider."""

    @property
    def profile(self) -> ProviderProfile:
        """What it can carry."""
        ...

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        """Make the request, without sending anything.

        The same email, recipients and key make the same request: providers compare
        it with the one that they had the key with.

        Args:
            email: With its content.
            recipients: Positions of those that this attempt is for.
            key: The idempotency key to send along: up to 100 ASCII letters, digits
                and hyphens. Only given where ``profile.key_ttl_s`` is not 0.

        Raises:
            UnbuildableError: This provider cannot carry such an email.
        """
        ...

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        """Make the call and say what came of it. Never raises for an answer.

        Args:
            built: What ``build`` made.
            timeout: A bound on the whole call, from the first look-up of a name to
                the last byte of the answer.
        """
        ...


class Heartbeats(Protocol):
    """Signs of life of the processes, so that ``/ready`` can tell what is missing."""

    def beat(self, *parts: str) -> None:
        """Leave a sign of life of processes, or of queues served. Never raises."""
        ...

    def ages(self) -> Mapping[str, timedelta] | None:
        """Return the age of each part's last sign, or ``None`` if Redis is away."""
        ...


__all__ = [
    "BreakerBoard",
    "BreakerState",
    "BreakerView",
    "Built",
    "Chance",
    "Clock",
    "Denied",
    "EmailStore",
    "Heartbeats",
    "Hints",
    "Permit",
    "Provider",
    "Report",
]
