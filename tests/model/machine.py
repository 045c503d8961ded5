"""The project's own services, one step at a time, each step worked out once.

A step is a pure function of the stored email, of the time and of what the worker has
in hand. So emails and workers are numbered, and a step is a look-up once it has been
taken from the same numbers before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from postroom.domain.change import Guard
from postroom.domain.email import Email
from postroom.domain.errors import ForbiddenTransitionError
from postroom.domain.hint import Hint
from postroom.domain.outcome import Outcome
from postroom.domain.policy import Policy
from postroom.domain.routing import ProviderProfile
from postroom.services.asked import Asked
from postroom.services.attempt import Attempt as AttemptService
from postroom.services.cancel import Cancel
from postroom.services.erase import Erase
from postroom.services.health import Verdicts
from postroom.services.mark_sent import MarkSent
from postroom.services.next_step import Again
from postroom.services.offer import Offer
from postroom.services.reconcile import Reconcile
from postroom.services.redrive import Redrive
from postroom.services.release import Release
from postroom.services.reschedule import Reschedule
from postroom.services.route import Route
from postroom.services.settle import Settle
from tests.builders import ID, NOW, seconds
from tests.model.numbers import email_key, instant, instants, second
from tests.model.ports import Board, Line, Paused, Ports, Seen, Settling, Write
from tests.model.promises import wrong_with_email, wrong_with_write
from tests.model.world import After

#: How far a client moves a scheduled email, from now.
MOVED = timedelta(seconds=50)


class Hold(NamedTuple):
    """What a worker has in hand.

    Attributes:
        step: Where it paused: ``ready``, ``claimed``, ``calling`` or ``told``.
        email: Number of the email as it loaded or claimed it.
        since: When it claimed, or, before that, when it made its key.
        script: One of the ways that led here; they make no difference from now on.
    """

    step: str
    provider: str
    email: int
    since: int
    attempt: str
    key: str | None
    outcome: Outcome | None
    script: tuple[Seen, ...]


class NothingAsked(Asked):
    """One machine is all worlds at once: it must not remember another's."""

    def note(self, emails: Iterable[Email], *, now: datetime) -> None:
        pass


class Machine:
    """The services of one installation, and everything they have done so far."""

    def __init__(
        self,
        profiles: Sequence[ProviderProfile],
        policy: Policy,
    ) -> None:
        self.profiles = {profile.name: profile for profile in profiles}
        self.policy = policy
        #: From then on after its claim a worker does not call any more, in seconds.
        self.late_after = int((policy.lease - policy.timeout).total_seconds()) // 2
        self.emails: list[Email] = []
        self.holds: list[Hold | None] = [None]
        #: Every write that was tried, by the numbers of its stored email and guard.
        self.writes: dict[tuple[int, Guard], Write] = {}
        self._numbers: dict[Any, int] = {}
        self._hold_numbers: dict[Any, int] = {}
        self._known: dict[Any, After] = {}
        self._instants: dict[int, tuple[int, ...]] = {}
        self._build(profiles, policy)

    def _build(self, profiles: Sequence[ProviderProfile], policy: Policy) -> None:
        ports = Ports()
        board = Board(ports)
        self._ports = ports
        common: dict[str, Any] = {"store": ports.store, "clock": ports}
        hinting = common | {"hints": ports, "policy": policy}
        routing = hinting | {"board": board, "profiles": profiles}
        self._settle = Settle(**routing, chance=ports)
        self._route = Route(**routing)
        self._offer = Offer(**routing, asked=NothingAsked())
        self._reconcile = Reconcile(**hinting)
        self._release = Release(**routing)
        self._cancel = Cancel(**common)
        self._mark = MarkSent(**common)
        self._erase = Erase(**common, erasure=ports.store, policy=policy)
        self._redrive = Redrive(**hinting)
        self._reschedule = Reschedule(**hinting)
        settling: Any = Settling(ports, self._settle)
        self._attempt = AttemptService(
            **hinting,
            chance=ports,
            board=board,
            providers={p.name: Line(p, ports) for p in profiles},
            settle=settling,
            verdicts=Verdicts(board=board, hints=ports, policy=policy),
        )

    # Numbers.

    def number(self, email: Email) -> int:
        key = email_key(email)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.emails)
            self.emails.append(email)
        return number

    def instants(self, email: int) -> tuple[int, ...]:
        """Return when something may change for an email, in seconds."""
        known = self._instants.get(email)
        if known is None:
            known = self._instants[email] = tuple(instants(self.emails[email]))
        return known

    def _hold_number(self, hold: Hold) -> int:
        key = hold[:-1]
        number = self._hold_numbers.get(key)
        if number is None:
            number = self._hold_numbers[key] = len(self.holds)
            self.holds.append(hold)
        return number

    # Steps.

    def route(self, email: int, now: int, back_at: int = 0) -> After:
        def step() -> None:
            self._route(Hint.of(self.emails[email]))

        return self._once("route", email, now, step, back_at=back_at)

    def begin(self, provider: str, email: int, now: int, back_at: int = 0) -> After:
        """Let a worker take a message for a provider, as far as its first pause."""
        return self._work(provider, None, 0, email, now, back_at, None)

    def work(
        self, hold: int, email: int, now: int, back_at: int = 0, told: Any = None
    ) -> After:
        """Let a worker go on to its next pause.

        Args:
            hold: Number of what it has in hand.
            email: Number of the email as it is stored.
            now: Seconds since the start.
            back_at: When the providers are back; 0 if they are here.
            told: The id of its attempt, or what comes of its call.
        """
        held = self.holds[hold]
        assert held is not None
        return self._work(held.provider, held, hold, email, now, back_at, told)

    def sweep(
        self, email: int, now: int, back_at: int = 0, *, forgotten: bool = False
    ) -> After:
        def step() -> None:
            self._ports.has_lost_all = forgotten
            self._offer()
            if self._ports.wants_reconcile:
                self._reconcile(ID)
            if self._ports.wants_release:
                for name in self.profiles:
                    self._release(name)

        return self._once("sweep", email, now, step, back_at=back_at, more=forgotten)

    def reconcile(self, email: int, now: int) -> After:
        return self._once("reconcile", email, now, lambda: self._reconcile(ID))

    def news(self, email: int, now: int, attempt: str, outcome: Outcome) -> After:
        def step() -> None:
            self._settle(
                self.emails[email],
                attempt_id=attempt,
                outcome=outcome,
                latency=seconds(0),
            )

        return self._once("news", email, now, step, more=(attempt, outcome))

    def wish(self, name: str, email: int, now: int) -> After:
        """Do what a client or an operator asks; nothing happens if it is refused."""
        wishes: Mapping[str, Callable[[], Any]] = {
            "cancel": lambda: self._cancel(ID),
            "cancel by force": lambda: self._cancel(ID, force=True),
            "redrive": lambda: self._redrive(ID),
            "redrive by force": lambda: self._redrive(ID, force=True),
            "mark sent": lambda: self._mark(ID),
            "erase": lambda: self._erase(ID),
            "move": lambda: self._reschedule(ID, to=instant(now) + MOVED),
        }
        return self._once(name, email, now, wishes[name])

    def _once(
        self,
        verb: str,
        email: int,
        now: int,
        step: Callable[[], Any],
        *,
        back_at: int = 0,
        more: Any = None,
    ) -> After:
        """Take a step, or remember what came of it; ``more`` tells steps apart."""
        key = (verb, email, now, back_at, more)
        known = self._known.get(key)
        if known is None:
            self._ports.begin(self._seen(email, now, back_at))
            with suppress(ForbiddenTransitionError):
                step()
            known = self._known[key] = self._after(verb, now)
        return known

    def _work(
        self,
        provider: str,
        held: Hold | None,
        hold: int,
        email: int,
        now: int,
        back_at: int,
        told: Any,
    ) -> After:
        key = (provider, hold, email, now, back_at, told)
        known = self._known.get(key)
        if known is None:
            past = held.script if held else ()
            script = (*past, self._seen(email, now, back_at, told))
            self._ports.begin(*script, pauses=True)
            taken = 0
            try:
                next_step = self._attempt(provider, Hint.of(script[0].email))
            except Paused as pause:
                taken = self._hold(pause.step, provider, script)
            else:
                self._ports.hinted |= isinstance(next_step, Again)
            known = self._after("work", now)._replace(hold=taken)
            self._known[key] = known
        return known

    def _seen(self, email: int, now: int, back_at: int, told: Any = None) -> Seen:
        return Seen(self.emails[email], instant(now), instant(back_at), told)

    def _hold(self, step: str, provider: str, script: tuple[Seen, ...]) -> int:
        """Number what a worker has in hand, without what matters no more."""
        claimed = self._ports.claimed
        email = claimed or script[0].email
        is_keyed = self.profiles[provider].key_ttl_s > 0
        since = {"ready": script[0].now if is_keyed else NOW}
        since["claimed"] = script[-1].now
        return self._hold_number(
            Hold(
                step=step,
                provider=provider,
                email=self.number(email),
                since=second(since.get(step, NOW)),
                attempt=email.attempts[-1].id if claimed else "",
                key=self._ports.key if step != "told" else None,
                outcome=script[-1].told if step == "told" else None,
                script=script,
            )
        )

    def _after(self, verb: str, now: int) -> After:
        ports = self._ports
        wrong: list[str] = []
        for write in ports.store.writes:
            stored = self.number(write.stored)
            self.writes.setdefault((stored, write.guard), write)
            if write.is_written:
                wrong += wrong_with_write(
                    write,
                    verb=verb,
                    now=instant(now),
                    policy=self.policy,
                    names=self.profiles,
                )
                wrong += wrong_with_email(write.change.after)
        return After(
            self.number(ports.store.the_email),
            hinted=ports.hinted,
            named=ports.named,
            wrong=tuple(wrong),
        )
