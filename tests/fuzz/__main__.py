"""`make fuzz`: every operation of openapi.json, 2,000 cases and more."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.run import fuzz

#: What is left of a run that found something.
FOLDER = Path(__file__).parents[2] / "build" / "fuzz"


def main() -> int:
    given = _arguments()
    folder = FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder.mkdir(parents=True)
    began = time.monotonic()
    result = fuzz(folder, examples=given.examples, seed=given.seed)
    took = time.monotonic() - began
    print(result.told)
    print(
        f"{result.cases} cases over {result.tested} of {result.known} operations "
        f"in {took:.0f} s, seed {given.seed}"
    )
    if result.passed and not given.keep:
        shutil.rmtree(folder)
    else:
        print(f"kept: {folder}")
    few = result.cases < given.least
    if few:
        print(f"only {result.cases} cases, at least {given.least} were asked for")
    return 0 if result.passed and not few else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument(
        "--examples",
        type=int,
        default=300,
        help="most cases of one operation in each phase (300)",
    )
    parser.add_argument(
        "--least",
        type=int,
        default=2000,
        help="fewer cases than that in all are a failure (2000)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.randrange(10**6),  # noqa: S311 - a test's
        help="repeats the choices of a run",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep logs and data of a run that found nothing, too",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
