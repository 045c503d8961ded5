"""One run: start everything, let load and faults meet, drain, and judge."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import evidence, report
from tests.chaos.desk import Desk
from tests.chaos.faults import Script
from tests.chaos.house import MAX_UNKNOWN, SHORT, House, Plan
from tests.chaos.judge import judge
from tests.chaos.load import RATE, Load, Wish
from tests.chaos.provider_faults import Rules
from tests.chaos.report import Result

#: How long everything may take to settle after the last fault, in seconds: with the
#: short settings, and with those that are shipped.
DRAIN_S, DRAIN_SHIPPED_S = 45.0, 420.0

#: The lease that is shipped, in seconds.
SHIPPED_LEASE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a run is to be.

    Attributes:
        seconds: How long there are faults.
    """

    name: str
    plan: Plan
    seconds: float = 70.0
    rate: float = RATE

    @property
    def lease_s(self) -> float:
        short = float(SHORT["POSTROOM_LEASE_S"])
        return SHIPPED_LEASE_S if self.plan.shipped else short

    @property
    def drain_s(self) -> float:
        return DRAIN_SHIPPED_S if self.plan.shipped else DRAIN_S


def run(scenario: Scenario, folder: Path, *, keep: bool = False) -> Result:
    """Run a scenario in a new folder; it stays if a promise was broken, or on demand."""
    folder.mkdir(parents=True)
    with House(folder, scenario.plan) as house:
        _chaos(house, scenario, folder)
        drain_s = house.wait_until_drained(scenario.drain_s)
        # Whoever was stopped within a call may still make it.
        time.sleep(2)
        evidence.write(folder, "documents", house.stored())
        servers = house.versions()
    found = evidence.read(folder)
    verdict = judge(found, max_unknown=MAX_UNKNOWN)
    stays = keep or not verdict.is_kept
    if not stays:
        shutil.rmtree(folder)
    return report.result_of(
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
        soak={},
        folder=str(folder) if stays else None,
    )


def _chaos(house: House, scenario: Scenario, folder: Path) -> None:
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
        )
        with load:
            script = Script(
                house=house,
                load=load,
                rules=rules,
                folder=folder,
                seed=scenario.plan.seed,
                lease_s=scenario.lease_s,
            )
            script.run(scenario.seconds)


@contextlib.contextmanager
def _desk(house: House, folder: Path, **more: Any) -> Iterator[Any]:
    """Give what is to hear of each accepted email; the weak designs know no verbs."""
    if house.plan.design != "postroom":
        yield _ignore
        return
    with Desk(house, folder, **more) as desk:
        yield desk.told


def _ignore(wish: Wish, email_id: str) -> None:
    pass
