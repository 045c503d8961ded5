"""`make bench` in a tiny size: every part yields its figures. No time is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.size import FULL, TINY, Size
from benchmarks.stack import ROOT, Store
from benchmarks.table import Table

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

#: The columns that a reader, or a later run to compare with, looks for.
COLUMNS = {
    "post": {"requests/s", "p50 ms", "p99 ms", "CPU ms", "CPU : bare"},
    "trips": {"step", "MongoDB trips", "Redis trips", "Redis commands"},
    "cost": {"process", "ms an email", "RSS MB", "PSS MB"},
    "pickup": {"POST to provider p50 ms", "p99 ms", "idle Redis commands/s"},
    "hop": {"broker", "p50 ms", "p99 ms", "idle Redis commands/s", "enqueued/s"},
    "drain": {"emails/s", "ideal", "share", "worker CPU ms"},
    "machines": {"sets", "emails/s", "of one set"},
    "batch": {"emails/s", "x single", "x bulk"},
    "sweep": {"due", "passes", "ms an email", "peak MB", "p99 ms", "router peak MB"},
    "growth": {"documents", "POST p50 ms", "claim p50 ms", "sweep of 0, ms"},
}


@pytest.mark.parametrize("part", [part for part in PARTS if part != "trips"])
def test_a_part_yields_its_figures(part: str, tmp_path: Path) -> None:
    measure, stores = PARTS[part]

    tables = list(measure(tmp_path / "run", TINY, stores[0]))

    assert _columns(tables) >= COLUMNS[part]
    assert {table.part for table in tables} == {part}
    assert all(table.rows and table.notes for table in tables)


def test_an_email_costs_trips_at_every_step(tmp_path: Path) -> None:
    measure, _ = PARTS["trips"]

    (table,) = measure(tmp_path / "run", TINY, Store.EMBEDDED)

    assert _columns([table]) >= COLUMNS["trips"]
    rows = {str(row["step"]): row for row in table.rows}
    trips = {step: row["MongoDB trips"] for step, row in rows.items()}
    assert trips["POST (web)"] >= 1
    assert round(float(trips["send (worker)"])) == 3  # load, claim, record
    assert float(rows["POST (web)"]["Redis commands"]) > 1  # within the script too


def test_the_command_writes_json_and_markdown(tmp_path: Path) -> None:
    markdown = tmp_path / "tables.md"

    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "batch", "--tiny"),
            *("--store", "instant", "--json", tmp_path / "figures.json"),
            *("--markdown", markdown),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["surroundings"].keys() >= {"versions", "cpus", "load", "load_at_end"}
    assert [table["part"] for table in found["tables"]] == ["batch"]
    assert "| single POST |" in markdown.read_text()
    assert "batch: " in done.stdout


def test_the_sizes_differ_in_nothing_but_size() -> None:
    assert max(FULL.documents) == 200_000
    assert max(Size().documents) == 20_000


def _columns(tables: list[Table]) -> set[str]:
    return {name for table in tables for row in table.rows for name in row}
