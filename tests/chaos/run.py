"""One run: start everything, let load and faults meet, drain, and judge."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.chaos import evidence, report
from tests.chaos.desk import Desk
from tests.chaos.faults import Script
from tests.chaos.house import MAX_UNKNOWN, SHORT, House, Plan
from tests.chaos.judge import judge
from tests.chaos.load import RATE, Load
from tests.chaos.provider_faults import Rules
from tests.chaos.report import Result
from tests.chaos.sampling import Sampling
from tests.chaos.wishes import Wish

#: How long nothing may get less after the last fault, while something is open, in
#: seconds: with the short settings, and with those that are shipped.
DRAIN_S, DRAIN_SHIPPED_S = 45.0, 200.0

#: The lines that live through a soak.
SPARED = frozenset({"web", "worker", "router", "scheduler"})

#: The lease that is shipped, in seconds.
SHIPPED_LEASE_S = 60.0

#: The burst without faults: emails at once, and what the provider takes, in ms. One
#: worker of so many threads has them, which takes half a minute.
BURST, BURST_MS, BURST_THREADS = 150, 3000, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a run is to be.

    Attributes:
        seconds: How long there are faults and a steady load; 0 for the burst: no
            fault, but many emails at once and a slow provider.
        soaks: Memory and descriptors are watched; of the lines only the second
            worker is killed, so that the others live throughout.
    """

    name: str
    plan: Plan
    seconds: float
    rate: float = RATE
    soaks: bool = False

    @property
    def is_burst(self) -> bool:
        return not self.seconds

    @property
    def lease_s(self) -> float:
        short = float(SHORT["POSTROOM_LEASE_S"])
        return SHIPPED_LEASE_S if self.plan.shipped else short

    @property
    def drain_s(self) -> float:
        return DRAIN_SHIPPED_S if self.plan.shipped else DRAIN_S


def burst(design: str, *, seed: int) -> Scenario:
    """Return the burst for a design, with the shipped settings."""
    settings = {"WORKER_THREADS": str(BURST_THREADS)}
    plan = Plan(seed=seed, design=design, shipped=True, workers=1, settings=settings)
    return Scenario(name=f"{design} burst", plan=plan, seconds=0)


def run(scenario: Scenario, folder: Path, *, keep: bool = False) -> Result:
    """Run a scenario in a new folder, which stays if there is a complaint."""
    folder.mkdir(parents=True)
    load_before = os.getloadavg()[0]
    with House(folder, scenario.plan) as house:
        trouble = _burst if scenario.is_burst else _chaos
        with Sampling(house.leaders) as sampling:
            load = trouble(house, scenario, folder)
        drain_s = house.wait_until_drained(scenario.drain_s)
        load.ask_again()
        load.close()
        # Whoever was stopped within a call may still make it.
        time.sleep(2)
        evidence.write(folder, "documents", house.stored())
        servers = house.versions()
    found = evidence.read(folder)
    verdict = judge(found, max_unknown=MAX_UNKNOWN)
    result = report.result_of(
        found,
        verdict,
        name=scenario.name,
        seed=scenario.plan.seed,
        seconds=scenario.seconds,
        design=scenario.plan.design,
        provider=scenario.plan.provider,
        settings="shipped" if scenario.plan.shipped else "short",
        drain_s=drain_s,
        unasked=dict(house.ended),
        versions=report.versions() | servers,
        load_average=(load_before, os.getloadavg()[0]),
        soak=sampling.trends() if scenario.soaks else {},
        folder=str(folder),
    )
    if keep or report.complaint(result):
        return result
    shutil.rmtree(folder)
    return replace(result, folder=None)


def _chaos(house: House, scenario: Scenario, folder: Path) -> Load:
    until = time.time() + scenario.seconds
    rules = Rules(house.fake)
    with _desk(house, folder, seed=scenario.plan.seed, until=until) as told:
        load = Load(
            service=house,
            folder=folder,
            seed=scenario.plan.seed,
            told=told,
            until=until,
            rate=scenario.rate,
            has_keys=scenario.plan.is_ours,
        )
        with load:
            script = Script(
                house=house,
                load=load,
                rules=rules,
                folder=folder,
                seed=scenario.plan.seed,
                lease_s=scenario.lease_s,
                spares=SPARED if scenario.soaks else frozenset(),
            )
            script.run(scenario.seconds)
    return load


def _burst(house: House, scenario: Scenario, folder: Path) -> Load:
    Rules(house.fake, delay_ms=BURST_MS)
    load = Load(
        service=house,
        folder=folder,
        seed=scenario.plan.seed,
        told=_ignore,
        until=0.0,
        rate=0.0,
        has_keys=False,  # one by one, as the weaker designs have them
    )
    with load:
        load.burst(BURST)
    return load


@contextlib.contextmanager
def _desk(house: House, folder: Path, **more: Any) -> Iterator[Any]:
    """Give what is to hear of each accepted email; the weak designs know no verbs."""
    if not house.plan.is_ours:
        yield _ignore
        return
    with Desk(house, folder, **more) as desk:
        yield desk.told


def _ignore(wish: Wish, email_id: str) -> None:
    pass
