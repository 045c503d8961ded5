"""`make bench`: what Postroom costs, next to what the bare stack costs."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    batch,
    cost,
    drain,
    growth,
    hop,
    machines,
    pickup,
    post,
    sweep,
    table,
    trips,
)
from benchmarks.size import FULL, TINY, Size
from benchmarks.stack import ROOT, Store
from benchmarks.table import Table

#: Results, and what is left of a run that failed.
FOLDER = ROOT / "build" / "bench"

Part = Callable[[Path, Size, Store], Iterator[Table]]

#: Every part, with the stores that it is measured on unless one is asked for. What is
#: counted is the same on both, and the instant one does not change as it grows.
PARTS: dict[str, tuple[Part, tuple[Store, ...]]] = {
    "post": (post.measure, tuple(Store)),
    "trips": (trips.measure, (Store.INSTANT,)),
    "cost": (cost.measure, tuple(Store)),
    "pickup": (pickup.measure, tuple(Store)),
    "hop": (hop.measure, (Store.INSTANT,)),
    "drain": (drain.measure, (Store.INSTANT,)),
    "machines": (machines.measure, (Store.INSTANT,)),
    "batch": (batch.measure, tuple(Store)),
    "sweep": (sweep.measure, (Store.INSTANT,)),
    "growth": (growth.measure, (Store.EMBEDDED,)),
}


def main() -> int:
    """Run the parts that were asked for."""
    given = _arguments()
    size = _size(given)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = FOLDER / stamp
    before = table.surroundings()
    tables: list[Table] = []
    for name in given.parts or PARTS:
        for made in _run(name, folder, size, given.store):
            tables.append(made)
            print(table.as_text(made), flush=True)
    written = given.json or FOLDER / f"{stamp}.json"
    found = table.as_json(tables, before)
    written.write_text(json.dumps(found, indent=1))
    if not given.keep:
        shutil.rmtree(folder)
    where = table.told(before, found["surroundings"]["load_at_end"])
    if given.markdown:
        text = f"Run on {where}\n\n{table.as_markdown(tables)}\n"
        given.markdown.write_text(text)
    print(f"\n{where}\nwritten to {written}")
    return 0


def _run(name: str, folder: Path, size: Size, store: Store | None) -> Iterator[Table]:
    measure, stores = PARTS[name]
    for each in stores if store is None else (store,):
        began = time.monotonic()
        yield from measure(folder / f"{name}-{each}", size, each)
        took = time.monotonic() - began
        print(f"{name}, {each} store: {took:.0f} s", file=sys.stderr, flush=True)


def _size(given: argparse.Namespace) -> Size:
    size = FULL if given.full else TINY if given.tiny else Size()
    asked = {"seconds": given.seconds, "rounds": given.rounds}
    return replace(size, **{k: v for k, v in asked.items() if v is not None})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all"
    )
    parser.add_argument(
        "--store", type=Store, choices=list(Store), help="only on this one"
    )
    parser.add_argument("--seconds", type=float, help="of a round of requests (1.2)")
    parser.add_argument("--rounds", type=int, help="of each measurement (3)")
    parser.add_argument(
        "--full", action="store_true", help="half an hour, 200,000 documents"
    )
    parser.add_argument("--tiny", action="store_true", help="only see that it works")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="the tables for docs/performance"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="in build/bench")
    parser.add_argument("--keep", action="store_true", help="logs and data too")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    sys.exit(main())
