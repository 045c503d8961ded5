"""What the model keeps of one moment: numbers and short tuples, cheap to compare."""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """How often each thing may still go wrong, or be asked for, in one history."""

    #: Calls that come to anything but an acceptance.
    faults: int = 0
    #: Workers that die with what they have in hand.
    crashes: int = 0
    #: Times that everything stands still while time goes on.
    stalls: int = 0
    #: Messages that come twice.
    doubles: int = 0
    #: Messages, or answers of the store to a record, that are lost.
    losses: int = 0
    #: Messages that name another provider than the router would now.
    strays: int = 0
    #: Events that tell what became of an attempt, or results that come very late.
    news: int = 0
    cancels: int = 0
    moves: int = 0
    redrives: int = 0
    #: Redrives, and cancellations, of what may be out.
    forces: int = 0
    #: Emails that an operator marks as sent.
    marks: int = 0
    #: Final emails that lose all that they said.
    erasures: int = 0
    #: Times that all providers go away, for `AWAY_S` seconds.
    outages: int = 0


class Worker(NamedTuple):
    """A thread that sends.

    Attributes:
        hold: Number of what it has in hand; 0 for nothing.
        frozen: It stands still for as long as it likes.
    """

    hold: int = 0
    frozen: bool = False


class Copy(NamedTuple):
    """One email as a provider took it."""

    attempt: str
    provider: str
    key: str | None
    at: int
    recipients: tuple[int, ...]


class World(NamedTuple):
    """Everything at one moment.

    Attributes:
        email: Number of the email as it is stored.
        now: Seconds since the start.
        hints: Messages on their way.
        slow: The message stands in a backlog.
        workers: In order, since it does not matter which is which.
        copies: What the providers took.
        back_at: When the providers are back; 0 while none is away.
        heard: Positions of recipients for whom somebody recorded an acceptance.
        cancelled: Its client was told so, without force.
        forced: An operator had it sent again though it may be out.
    """

    email: int
    budget: Budget
    now: int = 0
    hints: int = 1
    slow: bool = False
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    copies: tuple[Copy, ...] = ()
    back_at: int = 0
    heard: frozenset[int] = frozenset()
    cancelled: bool = False
    forced: bool = False

    @property
    def away_until(self) -> int:
        """When the providers are back; 0 if they are here."""
        return self.back_at if self.back_at > self.now else 0

    def moved(self, email: int, *, hinted: bool) -> World:
        """Return the world with the email that a step wrote, and its message."""
        then = self._replace(email=email)
        return then.hinted() if hinted else then

    def hinted(self) -> World:
        """Leave a message; one that is waiting already is enough."""
        return self._replace(hints=max(self.hints, 1), slow=False)

    def with_worker(self, index: int, worker: Worker) -> World:
        """Put a worker in the place of one of the two."""
        other = self.workers[1 - index]
        pair = (worker, other) if worker <= other else (other, worker)
        return self._replace(workers=pair)

    def spent(self, name: str) -> World:
        """Take one from a budget."""
        left = getattr(self.budget, name) - 1
        return self._replace(budget=self.budget._replace(**{name: left}))


class After(NamedTuple):
    """What a step leaves behind.

    Attributes:
        hold: Number of what the worker has in hand then; 0 for nothing.
        named: The provider that the router named.
        wrong: Promises that a write has broken.
    """

    email: int
    hinted: bool = False
    hold: int = 0
    named: str | None = None
    wrong: tuple[str, ...] = ()


class Step(NamedTuple):
    """One way on.

    Attributes:
        by_itself: It needs no fault and no wish.
        wrong: Promises that it breaks.
    """

    label: str
    world: World
    by_itself: bool
    wrong: tuple[str, ...] = ()
