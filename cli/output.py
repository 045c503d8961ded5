"""What goes to standard output: a JSON document, or words for a terminal or a pipe."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Categories of characters that move a cursor, turn text around or cannot be written.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def put_json(document: Mapping[str, Any]) -> None:
    """Print the one document of a verb. ASCII, so that any terminal carries it."""
    typer.echo(json.dumps(document, indent=2))


def put_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line, without those that are not there."""
    there = [(name, value) for name, value in fields if value not in (None, "")]
    width = max((len(name) for name, _ in there), default=0)
    for name, value in there:
        typer.echo(f"{name:<{width}}  {tame(str(value))}")


def put_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: drawn on a terminal, plain columns elsewhere."""
    cells = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, column in enumerate(columns):
            # The first is what people copy.
            table.add_column(column, overflow="fold", no_wrap=number == 0)
        for row in cells:
            table.add_row(*[Text(cell) for cell in row])  # no markup in what others say
        Console().print(table)
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        pairs = zip(line, widths, strict=True)
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in pairs).rstrip())


def _cell(value: object) -> str:
    return "-" if value in (None, "") else tame(str(value))


def tame(text: str) -> str:
    r"""Return a text that moves no cursor, whoever wrote it.

    Examples:
        >>> print(tame("red \x1b[31m"))
        red \u001b[31m
    """
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSEEN else char
        for char in text
    )


def instant(at: datetime | None) -> str | None:
    """Return a time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else None


def exact_instant(at: datetime | None) -> str | None:
    """Return a time as the API writes it: UTC, in milliseconds."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
