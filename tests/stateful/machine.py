"""Any order of events, drawn by hypothesis: the rules, and when all must be quiet.

No rule has a precondition, and each draws from the same values at any time: what a
number stands for is found out when it is used. So threads may end as they like without
the drawing going another way.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from hypothesis.strategies import SearchStrategy

from postroom.domain.email import Delivery, Priority
from postroom.domain.policy import Policy
from tests.builders import ALPHA, BETA, GAMMA, a_profile, seconds
from tests.stateful.jobs import NAMES, Jobs
from tests.stateful.journal import BEHAVIOURS
from tests.stateful.processes import CALLS, Fault, Kind
from tests.stateful.promises import Promises
from tests.stateful.world import World

POLICY = Policy(
    max_unknown=2, keep_body=timedelta(hours=6), keep_email=timedelta(days=10_000)
)

#: One that sends to all or nobody, one that parts recipients, one that takes keys.
PROFILES = (
    a_profile(ALPHA),
    a_profile(BETA, splits_recipients=True),
    a_profile(GAMMA, key_ttl_s=900),
)

#: Which of them there are.
SETS = st.sampled_from(
    [(ALPHA, BETA), (GAMMA,), (BETA,), (GAMMA, ALPHA), (ALPHA, BETA, GAMMA)]
)

FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(Kind),
    call=st.sampled_from(CALLS),
    after=st.booleans(),
)

WHICH = st.integers(0, 11)

#: Around each wait there is: a bounce, a back-off, a call, the grace, the lease, the
#: sweep's waits, the life of a key, of bodies, and of an email.
SHORT_S = st.sampled_from([0.3, 2, 5, 16, 31, 61])
STEPS_S = st.one_of(
    SHORT_S, SHORT_S, st.sampled_from([90, 301, 901, 901, 4000, 25_000, 90_000])
)

#: What a provider does with each email, until told otherwise.
BEHAVIOUR = st.sampled_from(sorted(BEHAVIOURS))

#: What a client may ask for.
WISHES = st.fixed_dictionaries(
    {
        "delivery": st.sampled_from(Delivery),
        "wait_s": st.sampled_from([0, 0, 0, 20, 100]),
        "recipients": st.integers(1, 3),
        "pin": st.sampled_from([None, None, None, *NAMES]),
        "priority": st.sampled_from(Priority),
    }
)

Wish = dict[str, Any]

#: What two processes do at the same moment.
PAIRS = st.sampled_from(
    [
        ("claim", "claim"),
        ("claim", "cancel"),
        ("claim", "reschedule"),
        ("claim", "news"),
        ("sweep", "sweep"),
        ("sweep", "claim"),
        ("reconcile", "reconcile"),
        ("reconcile", "news"),
        ("redrive", "news"),
        ("redrive", "redrive"),
        ("redrive", "retain"),
        ("redrive", "erase"),
        ("erase", "news"),
        ("erase", "retain"),
        ("replay", "redrive"),
        ("news", "news"),
        ("news", "cancel"),
        ("mark", "news"),
        ("release", "release"),
        ("release", "claim"),
        ("deliver", "deliver"),
        ("post", "sweep"),
        ("request", "request"),
        ("request", "sweep"),
        ("request", "retain"),
    ]
)


def event(**given: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make a rule, after which the actors go on with what is due, or do not.

    So an email gets on in between, whatever rules there are in an example.
    """

    def make(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def happen(self: Postroom, then: int, **values: Any) -> None:
            with self.being_whole():
                function(self, **values)
                for _ in range(then):
                    self.world.go_on()

        return rule(then=st.integers(0, 4), **given)(happen)

    return make


class Postroom(RuleBasedStateMachine):
    """Clients, processes, providers and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(PROFILES, policy=POLICY)
        self.jobs = Jobs(self.world)
        self.promises = Promises(self.world)
        self.is_broken = False

    @initialize(
        names=SETS,
        behaviours=st.tuples(*[BEHAVIOUR] * len(NAMES)),
        wishes=st.lists(WISHES, min_size=1, max_size=3),
    )
    def begin(
        self, names: tuple[str, ...], behaviours: tuple[str, ...], wishes: list[Wish]
    ) -> None:
        self.world.configure(*names)
        for name, behaviour in zip(NAMES, behaviours, strict=True):
            self.world.providers[name].behaviour = behaviour
        for wish in wishes:
            self.world.do(self.jobs.a_post(**wish))

    @event(wish=WISHES)
    def post(self, wish: Wish) -> None:
        self.world.do(self.jobs.a_post(**wish))

    @event(which=st.integers(0, 2), wait_s=st.sampled_from([0, 0, 20]))
    def request(self, which: int, wait_s: float) -> None:
        """A client asks for several emails under a key, perhaps again."""
        self.world.do(self.jobs.a_request(which, wait_s=wait_s))

    @event(
        kind=st.sampled_from(
            ["cancel", "reschedule", "redrive", "mark", "replay", "erase"]
        ),
        which=WHICH,
        flag=st.booleans(),
    )
    def ask(self, kind: str, which: int, flag: bool) -> None:
        """A client or an operator asks for something."""
        for job in self.jobs.of(kind, which=which, flag=flag):
            self.world.do(job)

    @event(fault=FAULTS)
    def befall(self, fault: Fault) -> None:
        """A process is to die, stall or hear no answer at a certain call."""
        self.world.befall(fault)

    @event(waits=st.booleans())
    def go_on(self, waits: bool) -> None:
        """Deliver the next message, or wait for it first."""
        self.world.go_on(waits=waits)

    @event(which=WHICH, stays=st.booleans(), comes_again=st.booleans())
    def deliver(self, which: int, stays: bool, comes_again: bool) -> None:
        """Deliver a message out of order: early, late, or the first of two times."""
        message = self.world.take(which, stays=stays)
        if message is not None:
            job = self.world.a_delivery(message, comes_again=comes_again)
            self.world.do(job)

    @event(
        kind=st.sampled_from(["sweep", "reconcile", "release", "claim", "retain"]),
        which=WHICH,
    )
    def work(self, kind: str, which: int) -> None:
        for job in self.jobs.of(kind, which=which):
            self.world.do(job)

    @event(which=WHICH, is_true=st.booleans())
    def tell(self, which: int, is_true: bool) -> None:
        """A provider tells of a call, again or at last."""
        for job in self.jobs.of("news", which=which, flag=is_true):
            self.world.do(job)

    @event(pair=PAIRS, which=WHICH, flag=st.booleans())
    def at_once(self, pair: tuple[str, str], which: int, flag: bool) -> None:
        """Two processes do something at the same moment, to the same email."""
        self.world.do_at_once(*self.jobs.of(*pair, which=which, flag=flag))

    @event(which=WHICH, dies=st.sampled_from([False, False, True]))
    def resume(self, which: int, dies: bool) -> None:
        """Let go on who stands still, or end it there."""
        self.world.resume(which, dies=dies)

    @event(step_s=STEPS_S)
    def time_passes(self, step_s: float) -> None:
        self.world.clock.advance(seconds(step_s))

    @event(names=SETS, behaviour=BEHAVIOUR)
    def behave(self, names: tuple[str, ...], behaviour: str) -> None:
        """From now on some providers do this with each email."""
        for name in names:
            self.world.providers[name].behaviour = behaviour

    @event(
        kind=st.sampled_from(["lose", "flushall", "redis", "store", "clock", "deploy"]),
        which=WHICH,
        names=SETS,
        lasts_s=SHORT_S,
    )
    def trouble(
        self, kind: str, which: int, names: tuple[str, ...], lasts_s: float
    ) -> None:
        """A message or all of them are lost, a server is away, providers change."""
        match kind:
            case "lose":
                self.world.take(which)
            case "flushall":
                self.world.flush()
            case "deploy":
                self.world.configure(*names)
            case _:
                port = "hints" if kind == "redis" else kind
                self.world.goes_away(port, seconds(lasts_s))

    @event(
        name=st.sampled_from(NAMES),
        verb=st.sampled_from(["trip", "reset", "drain", "resume"]),
    )
    def order(self, name: str, verb: str) -> None:
        """An operator tells a breaker what to do."""
        if name in self.world.names:
            getattr(self.world.board, verb)(name)

    # What must hold.

    @invariant()
    def promises_hold(self) -> None:
        with self.being_whole():
            self.promises.check()

    @contextlib.contextmanager
    def being_whole(self) -> Iterator[None]:
        """Note whether something broke: then the end is no matter any more."""
        try:
            yield
        except BaseException:
            self.is_broken = True
            raise

    def teardown(self) -> None:
        """All faults end: then every email comes to its end, and nothing is lost."""
        if self.is_broken:
            self.world.end()
            return
        self.world.mend()
        self.world.settle_down()
        self.promises.check_the_end()
