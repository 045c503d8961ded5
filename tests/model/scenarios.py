"""What the walks begin with: an email, its providers, and what may go wrong.

Each scenario has a budget of its own, since all of them at once would be more worlds
than anybody can wait for. ``PROVE=full`` walks with larger ones.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

from postroom.domain.acceptance import accept
from postroom.domain.email import Delivery
from postroom.domain.policy import Policy
from postroom.domain.routing import ProviderProfile
from tests.builders import ID, NOW, a_new_email, a_profile, a_recipient, at, seconds
from tests.e2e.scale import IS_FULL
from tests.model.explore import Walk, explore
from tests.model.fates import DOUBT, REFUSALS
from tests.model.machine import Machine
from tests.model.ports import Write
from tests.model.steps import Steps
from tests.model.world import Budget, World

#: Small numbers keep the instants few. An age of two days never ends here.
POLICY = Policy(
    lease=seconds(40),
    timeout=seconds(10),
    max_attempts=1,
    retry_first=seconds(5),
    retry_max=seconds(5),
    max_age=timedelta(days=2),
    unknown_grace=seconds(10),
    max_unknown=1,
    sweep_grace=seconds(20),
)

#: A provider with keys has two attempts, so that there is one to repeat.
TWICE = replace(POLICY, max_attempts=2)

#: The sweep is so slow that a stall may be longer than a lease.
SLOW_SWEEP = replace(TWICE, sweep_grace=seconds(60))

TWO = (a_profile("a"), a_profile("b"))
SMTP = (a_profile("a", splits_recipients=True), a_profile("b"))
KEYS = (a_profile("k", key_ttl_s=24 * 60 * 60),)
KEYS_AND_NONE = (a_profile("k", key_ttl_s=100), a_profile("b"))
SHORT_KEYS = (a_profile("k", key_ttl_s=46), a_profile("b"))

TIMEOUTS = ("unknown, taken", "unknown")
PARTS = ("for one, the other later", "for one, the other never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Where a walk begins.

    Attributes:
        more: What ``PROVE=full`` adds to the budget.
        given: Of the email.
    """

    budget: Budget
    fates: tuple[str, ...]
    more: Mapping[str, int] = field(default_factory=dict)
    profiles: tuple[ProviderProfile, ...] = TWO
    policy: Policy = POLICY
    given: Mapping[str, Any] = field(default_factory=dict)

    def begin(self, delivery: Delivery) -> tuple[World, Steps]:
        """Return the world right after the 201, the message on its way."""
        machine = Machine(self.profiles, self.policy)
        new = a_new_email(delivery=delivery, **self.given)
        email = accept(new, email_id=ID, now=NOW, policy=self.policy)
        steps = Steps(machine=machine, fates=self.fates)
        return World(email=machine.number(email), budget=self._budget()), steps

    def walk(
        self, delivery: Delivery, *, until: Collection[str] = frozenset()
    ) -> tuple[Walk, tuple[Write, ...]]:
        """Visit every world; finding one of some promises broken may be enough.

        Returns:
            What was found, and every write that was tried.
        """
        world, steps = self.begin(delivery)
        with _silence():
            walk = explore(world, steps, until=until)
        return walk, tuple(steps.machine.writes.values())

    def _budget(self) -> Budget:
        if not IS_FULL:
            return self.budget
        more = {
            name: getattr(self.budget, name) + count
            for name, count in self.more.items()
        }
        return self.budget._replace(**more)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the services from logging each step of thousands of histories."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


SCENARIOS: Mapping[str, Scenario] = {
    "doubt": Scenario(
        budget=Budget(faults=1, crashes=1, stalls=1, doubles=1),
        fates=DOUBT,
        more={"faults": 1},
    ),
    "two faults": Scenario(
        budget=Budget(faults=2, crashes=1),
        fates=DOUBT + REFUSALS,
        more={"doubles": 1, "faults": 1},
    ),
    "refusals": Scenario(
        budget=Budget(faults=1, crashes=1, stalls=1),
        fates=REFUSALS,
        more={"faults": 1},
    ),
    "losses": Scenario(
        budget=Budget(faults=1, crashes=1, losses=1),
        fates=DOUBT,
        more={"losses": 1, "stalls": 1},
    ),
    "news": Scenario(
        budget=Budget(faults=1, stalls=1, news=1),
        fates=(*TIMEOUTS, "unsure, taken", "not now"),
        more={"crashes": 1, "news": 1},
    ),
    "pinned": Scenario(
        budget=Budget(faults=1, crashes=1, strays=1, redrives=1),
        fates=DOUBT + REFUSALS,
        more={"faults": 1, "stalls": 1},
        given={"provider": "b"},
    ),
    "old": Scenario(
        budget=Budget(faults=2, crashes=1, stalls=1),
        fates=(*TIMEOUTS, "not now"),
        more={"news": 1},
        policy=replace(POLICY, max_age=seconds(30)),
    ),
    "outage": Scenario(
        budget=Budget(faults=1, outages=1, stalls=1),
        fates=("unknown, taken", "not now"),
        more={"faults": 1, "crashes": 1},
    ),
    "schedule": Scenario(
        budget=Budget(stalls=1, doubles=1, losses=1, cancels=1, moves=1),
        fates=TIMEOUTS,
        more={"faults": 1},
        given={"scheduled_at": at(30)},
    ),
    "cancel": Scenario(
        budget=Budget(faults=1, crashes=1, stalls=1, cancels=1),
        fates=(*DOUBT, "not now"),
        more={"doubles": 1},
    ),
    "operators": Scenario(
        budget=Budget(faults=2, crashes=1, redrives=1, forces=1, marks=1),
        fates=(*DOUBT, "never"),
        more={"stalls": 1},
    ),
    "erasure": Scenario(
        budget=Budget(faults=1, stalls=1, news=1, redrives=1, forces=1, erasures=1),
        fates=("unknown, taken", "unsure", "never"),
        more={"crashes": 1, "marks": 1},
    ),
    "parts": Scenario(
        budget=Budget(faults=2, crashes=1, redrives=1),
        fates=PARTS + TIMEOUTS,
        more={"stalls": 1, "losses": 1},
        profiles=SMTP,
        given={"recipients": (a_recipient(), a_recipient(addr_spec="b@example.com"))},
    ),
    "keys": Scenario(
        budget=Budget(faults=1, crashes=1, stalls=1),
        fates=("unknown, taken", "unsure, taken"),
        more={"faults": 1, "doubles": 1},
        profiles=KEYS,
        policy=TWICE,
    ),
    "keys and none": Scenario(
        budget=Budget(faults=2, crashes=1, strays=1, news=1),
        fates=TIMEOUTS,
        more={"stalls": 1},
        profiles=KEYS_AND_NONE,
        policy=TWICE,
    ),
    "short keys": Scenario(
        budget=Budget(faults=2, stalls=1, doubles=1),
        fates=TIMEOUTS,
        more={"crashes": 1, "stalls": 1},
        profiles=SHORT_KEYS,
        policy=SLOW_SWEEP,
    ),
}


@cache
def walked(name: str, delivery: Delivery) -> tuple[Walk, tuple[Write, ...]]:
    """Walk through a scenario, once for all tests."""
    return SCENARIOS[name].walk(delivery)
