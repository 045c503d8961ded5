"""`make chaos`: break everything under load, and see whether the promise is kept."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import report
from tests.chaos.house import Plan
from tests.chaos.run import Scenario, run

#: Results, and what is left of runs that broke a promise.
FOLDER = Path(__file__).parents[2] / "build" / "chaos"


def main() -> int:
    given = _arguments()
    today = datetime.now(UTC)
    seeds = given.seeds or [int(today.strftime("%Y%m%d")) + n for n in range(3)]
    stamp = today.strftime("%Y%m%dT%H%M%S")
    results = []
    for seed in seeds:
        plan = Plan(
            seed=seed,
            design=given.design,
            provider=given.provider,
            shipped=given.defaults,
            settings={},
        )
        scenario = Scenario(name=f"seed {seed}", plan=plan, seconds=given.seconds)
        began = time.monotonic()
        folder = FOLDER / f"{stamp}-{seed}"
        results.append(run(scenario, folder, keep=given.keep))
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(report.table(results))
    written = FOLDER / f"{stamp}.json"
    written.write_text(json.dumps(report.as_json(results), indent=1))
    print(f"\nwritten to {written}")
    broken = [result for result in results if not result.verdict.is_kept]
    for result in broken:
        print(f"{result.name} broke a promise: {dict(result.verdict.guilty)}")
        print(f"  its logs, journals and documents: {result.folder}")
    return 1 if broken else 0


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
    parser.add_argument(
        "--design", choices=["postroom", "sweep", "bare"], default="postroom"
    )
    parser.add_argument("--defaults", action="store_true", help="the shipped settings")
    parser.add_argument("--keep", action="store_true", help="all logs and journals")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
