"""`make chaos`: break everything under load, and see whether the promise is kept."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import report
from tests.chaos.house import Plan
from tests.chaos.load import RATE
from tests.chaos.report import WEAKER, Result
from tests.chaos.run import Scenario, burst, run

#: Results, and what is left of runs that broke a promise.
FOLDER = Path(__file__).parents[2] / "build" / "chaos"


def main() -> int:
    given = _arguments()
    today = datetime.now(UTC)
    stamp = today.strftime("%Y%m%dT%H%M%S")
    seeds = given.seeds or [int(today.strftime("%Y%m%d")) + n for n in range(3)]
    results = []
    for scenario in _scenarios(given, seeds):
        began = time.monotonic()
        folder = FOLDER / f"{stamp}-{scenario.name.replace(' ', '-')}"
        results.append(run(scenario, folder, keep=given.keep))
        print(f"{scenario.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(report.table(results))
    written = FOLDER / f"{stamp}.json"
    written.write_text(json.dumps(report.as_json(results), indent=1))
    print(f"\nwritten to {written}")
    return 1 if _complain(results) else 0


def _scenarios(given: argparse.Namespace, seeds: list[int]) -> Iterator[Scenario]:
    if given.burst or given.baselines:
        yield burst(given.design, seed=seeds[0])
    if given.baselines:
        yield burst("sweep", seed=seeds[0])
    if given.burst:
        return
    chosen = [(given.design, seed) for seed in seeds]
    if given.baselines:
        chosen += [(design, seeds[0]) for design in WEAKER]
    if given.soak:
        plan = Plan(seed=seeds[0], provider=given.provider, shipped=given.defaults)
        yield Scenario(
            name=f"soak {seeds[0]}",
            plan=plan,
            seconds=given.soak * 60,
            rate=given.rate,
            soaks=True,
        )
        return
    for design, seed in chosen:
        plan = Plan(
            seed=seed, design=design, provider=given.provider, shipped=given.defaults
        )
        name = f"seed {seed}" if design == given.design else f"{design} {seed}"
        yield Scenario(name=name, plan=plan, seconds=given.seconds, rate=given.rate)


def _complain(results: list[Result]) -> bool:
    """Say what is wrong, and where what is left of it lies."""
    wrong = {result.name: result for result in results if report.complaint(result)}
    for name, result in wrong.items():
        print(f"{name}: {report.complaint(result)}")
        print(f"  its logs, journals and documents: {result.folder}")
    return bool(wrong)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: from the date")
    parser.add_argument("--seconds", type=float, default=95.0, help="of faults, a seed")
    parser.add_argument(
        "--provider",
        choices=["plain", "keys"],
        default="plain",
        help="what they honour",
    )
    parser.add_argument("--design", choices=["postroom", *WEAKER], default="postroom")
    parser.add_argument(
        "--rate", type=float, default=RATE, help="emails a second, of all clients"
    )
    parser.add_argument(
        "--burst", action="store_true", help="only the burst without faults"
    )
    parser.add_argument(
        "--baselines", action="store_true", help="also the burst and the weaker designs"
    )
    parser.add_argument(
        "--soak",
        type=float,
        metavar="MINUTES",
        help="one long run, watching memory and descriptors",
    )
    parser.add_argument("--defaults", action="store_true", help="the shipped settings")
    parser.add_argument("--keep", action="store_true", help="all logs and journals")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
