from __future__ import annotations

from dataclasses import replace

from benchmarks.client import percentile
from benchmarks.table import Table, as_markdown, as_text

TABLE = Table(
    part="post",
    title="POST",
    rows=[{"what": "bare", "ms": 0.1234}, {"what": "ours", "ms": 123.4, "x": None}],
    notes="\nWhat it means.\n",
)


def test_markdown_can_be_pasted() -> None:
    assert as_markdown([TABLE]) == (
        "### POST\n\n| what | ms | x |\n|---|---|---|\n| bare | 0.12 | - |\n"
        "| ours | 123 | - |\n\nWhat it means."
    )


def test_what_tables_have_in_common_is_said_once() -> None:
    other = replace(TABLE, title="POST, too")

    text = as_markdown([TABLE, other, replace(other, notes="Something else.")])

    assert text.count("What it means.") == 1
    assert text.index("### POST, too") < text.index("What it means.")
    assert text.endswith("Something else.")


def test_columns_are_aligned() -> None:
    assert as_text(TABLE).splitlines()[1:] == [
        "post: POST",
        "what  ms    x",
        "bare  0.12  -",
        "ours  123   -",
    ]


def test_a_percentile_of_few_is_one_of_them() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0], 99) == 3.0
    assert percentile([], 50) == 0.0
